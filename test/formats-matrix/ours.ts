import { algorithms } from '../../packages/keygen/src/algorithms/table.js'
import { isKeytoolError } from '../../packages/keygen/src/error.js'
import type { PublicFormat, WritableFormat, WriteOptions } from '../../packages/keygen/src/formats/format.js'
import { keyFormats, publicFormats, writable } from '../../packages/keygen/src/formats/registry.js'
import type { PrivateKey, PublicKey } from '../../packages/keygen/src/key.js'
import { bitLength } from '../../packages/keygen/src/wire.js'
import { sampleKey } from '../../packages/keygen/test/sample-keys.js'
import { doAFew } from './a-few.js'
import { protectedBy, type SecretName, secrets } from './trial.js'

/** A file keytool wrote. */
export interface OurFile {
  readonly kind: 'private' | 'public'
  readonly type: string
  readonly format: string
  readonly cipher?: string | undefined
  readonly kdf?: string | undefined
  readonly secret: SecretName
  readonly bytes: Buffer
}

/** Every key and every file there is to try. */
export interface Ours {
  readonly keys: ReadonlyMap<string, PrivateKey>
  readonly files: readonly OurFile[]
}

const COMMENT = 'häna@laptop 1'

export const writableFormats: readonly WritableFormat[] = keyFormats.filter(row => row.write).map(writable)

/** The least that each kind of cost can be set to. Who has several has a choice of KDFs. */
const costs: Readonly<Record<NonNullable<WritableFormat['tuning']>[number], readonly WriteOptions[]>> = {
  rounds: [{ rounds: 1 }],
  kdf: [{ kdf: 'scrypt' }],
  argon2: (['Argon2id', 'Argon2i', 'Argon2d'] as const).map(kind => ({ argon2: { kind, memory: 64, passes: 1 } })),
}

/** How a format can be encrypted: every cipher with its first KDF, and every further KDF. */
export function waysOf({ ciphers, tuning = [] }: WritableFormat): WriteOptions[] {
  const [first = {}, ...others] = tuning.flatMap(kind => costs[kind])
  const [cipher] = ciphers
  if (cipher === undefined) return []
  return [...ciphers.map(each => ({ ...first, cipher: each })), ...others.map(cost => ({ ...cost, cipher }))]
}

/** A key of every type, and of each a file in every format, with every cipher, with each kind of passphrase. */
export async function writeAll(): Promise<Ours> {
  const keys = new Map<string, PrivateKey>()
  for (const { type } of algorithms) keys.set(type, await usualKey(type))
  const tasks = [...keys.values()].flatMap(key =>
    writableFormats
      .filter(format => format.holds(key.algorithm))
      .flatMap(format => [
        () => writeOne(key, format, {}, 'none'),
        ...waysOf(format).flatMap(way => protectedBy.map(secret => () => writeOne(key, format, way, secret))),
      ]),
  )
  return { keys, files: [...(await doAFew(tasks)), ...[...keys.values()].flatMap(writePublics)] }
}

/** A key that PuTTY writes as everybody does. */
async function usualKey(type: string): Promise<PrivateKey> {
  for (let tries = 0; tries < 100; tries++) {
    const key = await sampleKey(type, COMMENT)
    if (oddityOf(key) === 'none') return key
  }
  throw new Error(`no usual ${type} key`)
}

/**
 * RFC 5915 section 3 has the number of an ECDSA key as long as the curve's order. PuTTY writes it as an mpint into PEM
 * files: without zeros in front, but with one where the first bit is set. What is true of one key should be so of the
 * next, so that the odd ones are kept apart.
 */
export function oddityOf({ parts: { curve, d, q } }: PrivateKey): 'none' | 'short' | 'long' {
  if (!curve || !d || !q) return 'none'
  const puttys = Math.floor(bitLength(d) / 8) + 1
  const usual = (q.length - 1) / 2
  return puttys < usual ? 'short' : puttys > usual ? 'long' : 'none'
}

async function writeOne(
  key: PrivateKey,
  format: WritableFormat,
  way: WriteOptions,
  secret: SecretName,
): Promise<OurFile> {
  const passphrase = secrets[secret]
  const bytes = await format.write(key, passphrase === undefined ? {} : { ...way, passphrase: Buffer.from(passphrase) })
  const { cipher, kdf } = await format.inspect(bytes)
  return { kind: 'private', type: key.algorithm.type, format: format.name, cipher, kdf: kdf?.name, secret, bytes }
}

function writePublics({ algorithm: { type }, publicKey }: PrivateKey): OurFile[] {
  return publicFormats.flatMap(format => {
    const bytes = writePublic(format, publicKey)
    return bytes ? [{ kind: 'public' as const, type, format: format.name, secret: 'none' as const, bytes }] : []
  })
}

/** The key in a public format; `undefined` where that can't hold it, or is only read. */
export function writePublic(format: PublicFormat, key: PublicKey): Buffer | undefined {
  try {
    return format.write?.(key)
  } catch (error) {
    if (isKeytoolError(error) && error.code === 'unsupported') return undefined
    throw error
  }
}
