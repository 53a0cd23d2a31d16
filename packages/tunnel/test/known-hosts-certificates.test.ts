import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeSignature, fingerprint, generate, type PrivateKey, type PublicKey, Writer } from '@keytool/keygen'
import { rememberHost, verifyHost } from '../src/connection/hostkeys.js'
import { KnownHosts } from '../src/known-hosts/store.js'
import { type Claims, certify } from './host-certificates.js'

// Beside what test/tunnel-hosts compares with OpenSSH's client: what that one can't be made to show, and what we say of it.

const NOW = 1_800_000_000
const HOST = 'mail.example'

let home: string
let file: string
let [host, authority, other]: PrivateKey[] = []

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
  file = join(home, 'known_hosts')
  ;[host, authority, other] = await Promise.all(['ecdsa-256', 'ed25519', 'ed25519'].map(type => generate(type)))
})

afterAll(() => rm(home, { recursive: true }))

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('not made')
  return value
}

const line = (before: string, key: PrivateKey | undefined) => {
  const { algorithm, blob } = need(key).publicKey
  return `${before} ${algorithm.name} ${blob.toString('base64')}\n`
}

const open = () => new KnownHosts({ home, files: [file], systemFiles: [], now: () => NOW * 1000 })
const signed = (claims: Claims): Promise<PublicKey> => certify(need(host).publicKey, need(authority), claims)

async function lookUp(content: string, claims: Claims, name = HOST, port = 22) {
  await writeFile(file, content)
  return open().lookup(name, port, (await signed(claims)).blob)
}

const AUTHORITY = () => line('@cert-authority *.example', authority)

test.each<[string, Claims, string | undefined]>([
  ['this very second', { principals: [HOST], after: BigInt(NOW), before: BigInt(NOW + 1) }, undefined],
  ['a second ago', { principals: [HOST], before: BigInt(NOW) }, 'it has expired'],
  ['a second later', { principals: [HOST], after: BigInt(NOW + 1) }, 'it is not valid yet'],
  // As OpenSSH 10.6 has it: 10.0 knows no patterns here.
  ['a pattern', { principals: ['*.example'] }, undefined],
  ['in capitals', { principals: ['MAIL.example'] }, 'it is for other hosts'],
  ['nobody', {}, 'it names no host'],
  ["a user's", { kind: 1, principals: [HOST] }, "it is a user's, not a host's"],
  [
    'with a critical option',
    { principals: [HOST], critical: new Writer().text('only@example').string(Buffer.alloc(0)).done() },
    'it has a critical option, which hosts have none of',
  ],
])('%s', async (_what, claims, trouble) => {
  expect(await lookUp(AUTHORITY(), claims)).toMatchObject(
    trouble === undefined
      ? { state: 'known', byAuthority: true, mayRotate: false, place: { line: 1 } }
      : { state: 'unknown', certificateTrouble: trouble },
  )
})

test('the name is compared in small letters, as ssh writes it', async () => {
  expect(await lookUp(AUTHORITY(), { principals: [HOST] }, 'MAIL.Example')).toMatchObject({ state: 'known' })
})

test('one that its authority has not signed is damaged, and no authority is asked about another one', async () => {
  const signature = encodeSignature(await need(other).sign(Buffer.from('something else')))
  const claims = { principals: [HOST], signature }
  await expect(lookUp(AUTHORITY(), claims)).rejects.toMatchObject({ code: 'damaged' })
  expect(await lookUp(line('@cert-authority *', other), claims)).toEqual({ state: 'unknown', otherNames: [] })
})

test('whether an authority may speak for a host', async () => {
  await writeFile(
    file,
    `${line('@cert-authority *.example', authority)}${line('@cert-authority [web.org]:*', authority)}`,
  )
  const asked = [
    [HOST, 22],
    [HOST, 2222],
    ['web.org', 2222],
    ['web.org', 22],
    ['other.org', 22],
  ] as const
  expect(await Promise.all(asked.map(([name, port]) => open().authoritiesFor(name, port)))).toEqual([
    true,
    true,
    true,
    false,
    false,
  ])
  // The types of plain keys are another matter.
  expect(await open().typesFor(HOST, 22)).toEqual([])
})

test('who revokes a certificate means its key', async () => {
  const certificate = await signed({ principals: [HOST] })
  const text = `@revoked * ${certificate.algorithm.name} ${certificate.blob.toString('base64')}\n`
  expect(await lookUp(AUTHORITY() + text, { principals: [HOST] })).toMatchObject({
    state: 'revoked',
    place: { line: 2 },
  })
  expect(await open().lookup(HOST, 22, need(host).publicKey.blob)).toMatchObject({ state: 'revoked' })
})

test('one that does not count: the key in it is asked about, with the reason, and noted alone', async () => {
  const certificate = await signed({ principals: [HOST], before: 1n })
  await writeFile(file, AUTHORITY())
  const policy = { knownHosts: open() }
  const verify = (confirmHost?: (unknown: { certificateTrouble?: string; key: PublicKey }) => Promise<boolean>) =>
    verifyHost({ ...policy, confirmHost }, HOST, 22, certificate.blob)
  await expect(verify()).rejects.toMatchObject({
    code: 'host-key-unknown',
    reason: `it shows ECDSA ${fingerprint(need(host).publicKey)}; its certificate does not count: it has expired`,
  })
  const asked: unknown[] = []
  const confirmed = await verify(async ({ certificateTrouble, key }) => asked.push(certificateTrouble, key.blob) > 0)
  expect(confirmed).toEqual({ remember: true, mayRotate: true })
  expect(asked).toEqual(['it has expired', need(host).publicKey.blob])
  await rememberHost(policy, HOST, 22, certificate.blob)
  expect(await readFile(file, 'utf8')).toBe(AUTHORITY() + line(HOST, host))
  expect(await verify()).toEqual({ remember: false, mayRotate: true })
  await writeFile(file, AUTHORITY() + line(HOST, other))
  await expect(verify()).rejects.toMatchObject({
    code: 'host-key-changed',
    reason: expect.stringMatching(/now SHA256:\S+; its certificate does not count: it has expired$/),
  })
})

test('an alias is what the certificate has to be for', async () => {
  await writeFile(file, line('@cert-authority cluster', authority))
  const verify = async (...principals: string[]) =>
    verifyHost({ knownHosts: open(), alias: 'cluster' }, HOST, 2222, (await signed({ principals })).blob)
  expect(await verify('cluster')).toEqual({ remember: false, mayRotate: false })
  await expect(verify(HOST)).rejects.toMatchObject({ code: 'host-key-unknown' })
})
