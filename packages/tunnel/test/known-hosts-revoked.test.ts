import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fingerprint, generate, type PrivateKey, type PublicKey } from '@keytool/keygen'
import { verifyHost } from '../src/connection/hostkeys.js'
import { KnownHosts, type KnownHostsOptions } from '../src/known-hosts/store.js'
import { certify } from './host-certificates.js'

// Keys that no host may show. What ssh does with such files is in test/tunnel-ssh-config-limits.test.ts.

const HOST = 'mail.example'

let home: string
let [host, authority, other]: PrivateKey[] = []
const at = (name: string) => join(home, name)

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
  ;[host, authority, other] = await Promise.all(['ecdsa-256', 'ed25519', 'ed25519'].map(type => generate(type)))
})

afterAll(() => rm(home, { recursive: true }))

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('not made')
  return value
}

const line = (key: PublicKey | undefined, before = '') =>
  `${before}${need(key).algorithm.name} ${need(key).blob.toString('base64')}\n`

/** With the host and its authority known by heart, so that only these files can say no. */
async function open(revoked: Readonly<Record<string, string | Buffer>>, more: Partial<KnownHostsOptions> = {}) {
  await writeFile(
    at('known_hosts'),
    line(host?.publicKey, `${HOST} `) + line(authority?.publicKey, `@cert-authority ${HOST} `),
  )
  for (const [name, content] of Object.entries(revoked)) await writeFile(at(name), content)
  const revokedFiles = Object.keys(revoked).map(at)
  return new KnownHosts({ home, files: [at('known_hosts')], systemFiles: [], revokedFiles, ...more })
}

const signed = () => certify(need(host).publicKey, need(authority), { principals: [HOST] })
const lookUp = (knownHosts: KnownHosts, { blob }: PublicKey = need(host).publicKey) => knownHosts.lookup(HOST, 22, blob)

test('a key is revoked by its own line, in any of the files, whatever else knows it', async () => {
  const own = line(host?.publicKey)
  expect(await lookUp(await open({ a: line(other?.publicKey), b: `\n# mine\n  ${own.trim()} a comment\n` }))).toEqual({
    state: 'revoked',
    place: { file: '~/b', line: 3 },
    fingerprint: fingerprint(need(host).publicKey),
  })
  expect(await lookUp(await open({ a: own.replace(' ', '\t').replace('\n', '\r\n') }))).toMatchObject({
    state: 'revoked',
  })
  expect(await lookUp(await open({ a: line(other?.publicKey) }))).toMatchObject({ state: 'known' })
})

test('a certificate is revoked by the key in it, by its authority, and by another one of the same key', async () => {
  const certificate = await signed()
  expect(await lookUp(await open({ a: line(other?.publicKey) }), certificate)).toMatchObject({ state: 'known' })
  for (const revoked of [host?.publicKey, authority?.publicKey, certificate]) {
    expect(await lookUp(await open({ a: line(revoked) }), certificate)).toMatchObject({ state: 'revoked' })
  }
  expect(await lookUp(await open({ a: line(certificate) }))).toMatchObject({ state: 'revoked' })
  expect(await lookUp(await open({ a: line(authority?.publicKey) }))).toMatchObject({ state: 'known' })
})

test.each<[string, string | Buffer, string]>([
  ['a revocation list', Buffer.from('SSHKRL\n\0\0\0\0\x01', 'latin1'), 'unsupported'],
  ['a line that is cut short', 'ssh-ed25519 AAAAC3NzaC1\n', 'damaged'],
  ['a line with a name in front', 'mail.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcH\n', 'damaged'],
  ['too many lines', '\n'.repeat(100_001), 'damaged'],
])('%s: nothing is accepted', async (_what, content, code) => {
  await expect(lookUp(await open({ a: content }))).rejects.toMatchObject({ code })
})

test('a file that is not there, or is none: nothing is accepted, and the place is said', async () => {
  const error = { code: 'refused', message: "no host key is accepted: ~/gone can't be read" }
  await expect(lookUp(await open({}, { revokedFiles: [at('gone')] }))).rejects.toMatchObject(error)
  await expect(lookUp(await open({}, { revokedFiles: [home] }))).rejects.toMatchObject({ code: 'refused' })
})

test('a signature that CASignatureAlgorithms leaves out makes a certificate none', async () => {
  const certificate = await signed()
  expect(await lookUp(await open({}, { caSchemes: ['ssh-ed25519'] }), certificate)).toMatchObject({ byAuthority: true })
  const narrow = await open({}, { caSchemes: ['rsa-sha2-512'] })
  // The key in it is known for itself.
  expect(await lookUp(narrow, certificate)).toMatchObject({ state: 'known', byAuthority: false })
  await writeFile(at('known_hosts'), line(authority?.publicKey, `@cert-authority ${HOST} `))
  expect(await lookUp(narrow, certificate)).toMatchObject({
    state: 'unknown',
    certificateTrouble: 'CASignatureAlgorithms leaves out what it is signed with: ssh-ed25519',
  })
})

test('an RSA key is as long as it is asked to be', async () => {
  const { publicKey } = await generate('rsa', { bits: 2048 })
  await writeFile(at('known_hosts'), line(publicKey, `${HOST} `))
  const verify = (requiredRsaSize: number | undefined, { blob } = publicKey) => {
    const knownHosts = new KnownHosts({ home, files: [at('known_hosts')], systemFiles: [] })
    return verifyHost({ knownHosts, requiredRsaSize, confirmHost: async () => true }, HOST, 22, blob)
  }
  for (const size of [undefined, 0, 2048]) expect(await verify(size)).toMatchObject({ remember: false })
  await expect(verify(2049)).rejects.toMatchObject({ code: 'refused', reason: expect.stringContaining('2048 bits') })
  await writeFile(at('known_hosts'), '')
  expect(await verify(4096, need(other).publicKey)).toMatchObject({ remember: true })
})
