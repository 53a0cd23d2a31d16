import { generateKeyPair, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { algorithmOfType, algorithms } from '../src/algorithms/table.js'
import { DerReader } from '../src/der-reader.js'
import { PrivateKey } from '../src/key.js'

/** Every type there is, by its name in `gen -t`. */
export const allTypes: readonly string[] = algorithms.map(({ type }) => type)

/** Types that this program reads but never makes: made here by other means. */
const makers: Readonly<Record<string, () => Promise<Record<string, Buffer>>>> = {
  dsa: makeDsa,
  'ed25519-sk': async () => ({ ...(await publicParts('ed25519')), ...token() }),
  'ecdsa-sk': async () => ({ ...(await publicParts('ecdsa-256')), ...token() }),
}

/** A fresh key of any type in the table. RSA: 2048 bits, to be quick. */
export async function sampleKey(type: string, comment = ''): Promise<PrivateKey> {
  const algorithm = algorithms.find(row => row.type === type)
  if (!algorithm) throw new Error(`no type ${type}`)
  const make = makers[type]
  if (make) return PrivateKey.fromParts(algorithm, await make(), comment)
  return PrivateKey.generated(algorithm, algorithm.sizes ? 2048 : undefined, comment)
}

async function makeDsa(): Promise<Record<string, Buffer>> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)('dsa', { modulusLength: 1024, divisorLength: 160 })
  const info = new DerReader(publicKey.export({ format: 'der', type: 'spki' })).sequence()
  const identifier = info.sequence()
  identifier.oid()
  const parameters = identifier.sequence()
  const [p, q, g] = [parameters.integer(), parameters.integer(), parameters.integer()]
  const y = new DerReader(info.bitString()).integer()
  const secret = new DerReader(privateKey.export({ format: 'der', type: 'pkcs8' })).sequence()
  secret.integer()
  secret.raw()
  const x = new DerReader(secret.octetString()).integer()
  return Object.fromEntries(Object.entries({ p, q, g, y, x }).map(([name, part]) => [name, Buffer.from(part)]))
}

async function publicParts(type: string): Promise<Record<string, Buffer>> {
  const { publicKey } = await PrivateKey.generated(algorithmOfType(type))
  return { ...publicKey.parts }
}

/** What a file holds of a key whose secret is in a token. */
function token(): Record<string, Buffer> {
  return {
    application: Buffer.from('ssh:'),
    flags: Buffer.of(1),
    handle: randomBytes(64),
    reserved: Buffer.alloc(0),
  }
}

/** One key of each of these types, made once, by its type. Fails for a type that was not asked for. */
export async function sampleSet(types: readonly string[], comment = ''): Promise<(type: string) => PrivateKey> {
  const keys = new Map<string, PrivateKey>()
  for (const type of types) keys.set(type, await sampleKey(type, comment))
  return type => {
    const key = keys.get(type)
    if (!key) throw new Error(`no key of type ${type}`)
    return key
  }
}

/** Every part is the same; whether the comment is, formats differ in. */
export function expectSameParts(back: PrivateKey, key: PrivateKey): void {
  expect(back.publicKey.blob).toEqual(key.publicKey.blob)
  expect(Object.keys(back.parts).sort()).toEqual(Object.keys(key.parts).sort())
  for (const [name, part] of Object.entries(key.parts)) expect([name, back.parts[name]]).toEqual([name, part])
}

/** Every part, and the comment. */
export function expectSame(back: PrivateKey, key: PrivateKey): void {
  expectSameParts(back, key)
  expect(back.comment).toBe(key.comment)
}
