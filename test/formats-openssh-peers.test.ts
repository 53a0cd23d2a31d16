import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { FOREVER, readCertificate, verifyCertificate } from '../packages/keygen/src/certificate.js'
import { bubbleBabbleLine, fingerprintLine, puttyFingerprint } from '../packages/keygen/src/fingerprint.js'
import { readPublicLines, writePublicLine } from '../packages/keygen/src/formats/lines/public.js'
import { openssh } from '../packages/keygen/src/formats/openssh.js'
import { inspectKeys } from '../packages/keygen/src/inspect.js'
import type { PrivateKey, PublicKey } from '../packages/keygen/src/key.js'
import { ciphers } from '../packages/keygen/src/protect/ciphers.js'
import { sampleKey } from '../packages/keygen/test/sample-keys.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { type RunResult, run, runOrThrow } from './world/run.js'

jest.setTimeout(240_000)

/** What Debian's OpenSSH has. It reads keys of tokens from their files, no token needed. */
const types = ['ed25519', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa', 'dsa', 'ed25519-sk', 'ecdsa-sk']
/** What it can make certificates with here: a token's key signs in its token only. */
const authorities = ['ed25519', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa']
/** What Debian's PuTTY has. */
const puttyTypes = ['ed25519', 'ed448', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa', 'dsa']

const COMMENT = 'hana@läptop 1'
const passphrase = Buffer.from('ключ 鍵')
const next = Buffer.from('another one')

let home: Home
const keys = new Map<string, PrivateKey>()

beforeAll(async () => {
  home = await temporaryHome()
  for (const type of new Set([...types, ...puttyTypes])) keys.set(type, await sampleKey(type, COMMENT))
})
afterAll(() => home.dispose())

const keygen = (...args: string[]): Promise<RunResult> => runOrThrow(peerPath('ssh-keygen'), args, { env: home.env })
const puttygen = (...args: string[]): Promise<RunResult> => runOrThrow(peerPath('puttygen'), args, { env: home.env })
const at = (name: string): string => join(home.path, name)

function keyOf(type: string): PrivateKey {
  const key = keys.get(type)
  if (!key) throw new Error(`no key of type ${type}`)
  return key
}

async function write(name: string, bytes: Uint8Array | string): Promise<string> {
  await writeFile(at(name), bytes, { mode: 0o600 })
  return at(name)
}

function expectSame(back: PrivateKey, key: PrivateKey): void {
  expect(back.comment).toBe(key.comment)
  expect(back.parts).toEqual(key.parts)
}

/** The only key in a file of lines. */
async function publicIn(path: string): Promise<PublicKey> {
  const [key, ...more] = readPublicLines(await readFile(path))
  if (!key || more.length > 0) throw new Error(`${path} does not hold one key`)
  return key
}

describe.each(types)('OpenSSH files of %s', type => {
  test('ssh-keygen reads ours, and we read its, in the clear', async () => {
    const path = await write('plain', await openssh.write(keyOf(type)))
    expect((await keygen('-y', '-f', path)).stdout).toBe(writePublicLine(keyOf(type).publicKey))
    await keygen('-c', '-C', 'changed', '-f', path)
    expectSame(await openssh.read(await readFile(path)), keyOf(type).withComment('changed'))
  })

  test.each(ciphers.map(({ name }) => name))('and in %s', async cipher => {
    const path = await write('sealed', await openssh.write(keyOf(type), { passphrase, cipher, rounds: 1 }))
    const shown = await keygen('-y', '-P', passphrase.toString(), '-f', path)
    expect(shown.stdout).toBe(writePublicLine(keyOf(type).publicKey))
    // It decrypts, encrypts anew with its own code, and keeps nothing that we wrote.
    await keygen('-p', '-P', passphrase.toString(), '-N', next.toString(), '-Z', cipher, '-a', '2', '-f', path)
    const bytes = await readFile(path)
    expect(await openssh.inspect(bytes)).toMatchObject({ cipher, kdf: { name: 'bcrypt', rounds: 2 } })
    expectSame(await openssh.read(bytes, { passphrase: next }), keyOf(type))
    await expect(openssh.read(bytes, { passphrase })).rejects.toMatchObject({ code: 'secret-wrong' })
  })
})

describe.each(puttyTypes)('OpenSSH files of %s', type => {
  test.each([undefined, passphrase])('puttygen reads ours, and we read its; passphrase: %s', async secret => {
    const secretFile = await write('secret', secret ?? '')
    const old = secret ? ['--old-passphrase', secretFile] : []
    const path = await write('ours', await openssh.write(keyOf(type), secret ? { passphrase: secret, rounds: 1 } : {}))
    const line = (await puttygen(path, '-O', 'public-openssh', ...old)).stdout
    expect(line).toBe(writePublicLine(keyOf(type).publicKey))
    const changes = ['-C', 'changed', '--new-passphrase', secretFile]
    await puttygen(path, ...old, '-O', 'private-openssh-new', '-o', at('its'), ...changes)
    const bytes = await readFile(at('its'))
    const back = await openssh.read(bytes, secret ? { passphrase: secret } : {})
    expectSame(back, keyOf(type).withComment('changed'))
    expect((await openssh.inspect(bytes)).encrypted).toBe(secret !== undefined)
  })
})

test('a key that OpenSSH does not know is no key to it, but one to us', async () => {
  const path = await write('ed448', await openssh.write(keyOf('ed448')))
  const refused = await run(peerPath('ssh-keygen'), ['-y', '-f', path], { env: home.env })
  expect(refused.status).not.toBe(0)
  expectSame(await openssh.read(await readFile(path)), keyOf('ed448'))
})

describe('fingerprints', () => {
  test.each(types)('of %s are those of ssh-keygen', async type => {
    const key = keyOf(type).publicKey
    const path = await write('key.pub', writePublicLine(key))
    expect(`${fingerprintLine(key)}\n`).toBe((await keygen('-l', '-f', path)).stdout)
    expect(`${fingerprintLine(key, 'md5')}\n`).toBe((await keygen('-l', '-E', 'md5', '-f', path)).stdout)
    expect(`${bubbleBabbleLine(key)}\n`).toBe((await keygen('-B', '-f', path)).stdout)
  })

  test.each(puttyTypes)('of %s are those of puttygen', async type => {
    const key = keyOf(type).publicKey
    const path = await write('key.pub', writePublicLine(key))
    expect(`${puttyFingerprint(key)}\n`).toBe((await puttygen('-l', path)).stdout)
    expect(`${puttyFingerprint(key, 'md5')}\n`).toBe((await puttygen('-l', '-E', 'md5', path)).stdout)
  })
})

/** `ssh-keygen -L`, in the words that stand there, from our own reading. Times as the peer was told to write them: UTC. */
function describeCertificate(key: PublicKey): string {
  const found = readCertificate(key)
  if (!found) throw new Error('no certificate')
  const { authority, signature } = found
  const sha256 = (of: PublicKey) => fingerprintLine(of).split(' ')[1]
  const time = (seconds: bigint) => new Date(Number(seconds) * 1000).toISOString().slice(0, 19)
  const ends = [
    found.validAfter > 0n ? [`from ${time(found.validAfter)}`, `after ${time(found.validAfter)}`] : [],
    found.validBefore < FOREVER ? [`to ${time(found.validBefore)}`, `before ${time(found.validBefore)}`] : [],
  ] as const
  const both = ends[0].length > 0 && ends[1].length > 0
  const validity = both ? `${ends[0][0]} ${ends[1][0]}` : (ends[0][1] ?? ends[1][1] ?? 'forever')
  const list = (title: string, lines: readonly string[], indent = '') =>
    lines.length === 0 ? [`${title}: (none)`] : [`${title}: ${indent}`, ...lines.map(line => `        ${line}`)]
  const options = (of: typeof found.extensions) => of.map(({ name, value }) => (value ? `${name} ${value}` : name))
  const lines = [
    `Type: ${key.algorithm.name} ${found.kind} certificate`,
    `Public key: ${key.algorithm.label} ${sha256(key)}`,
    `Signing CA: ${authority.algorithm.label} ${sha256(authority)} (using ${signature.scheme})`,
    `Key ID: "${found.keyId}"`,
    `Serial: ${found.serial}`,
    `Valid: ${validity}`,
    ...list('Principals', found.principals),
    ...list('Critical Options', options(found.criticalOptions)),
    ...list('Extensions', options(found.extensions)),
  ]
  return lines.map(line => `        ${line}\n`).join('')
}

/** Without the first line, which names the file, and with blanks at line ends taken off: there are some. */
function tidy(text: string): string {
  return text.replace(/ +$/gm, '')
}

describe('certificates', () => {
  /** Signs a copy of the type's key, and gives the certificate's path. */
  async function certify(type: string, authority: string, ...args: string[]): Promise<string> {
    const ca = await write(`ca-${authority}`, await openssh.write(keyOf(authority)))
    const path = await write(`${type}.pub`, writePublicLine(keyOf(type).publicKey))
    await keygen('-q', '-s', ca, ...args, path)
    return at(`${type}-cert.pub`)
  }

  async function expectSameFacts(path: string): Promise<PublicKey> {
    const key = await publicIn(path)
    const env = { ...home.env, TZ: 'UTC' }
    const listed = (await runOrThrow(peerPath('ssh-keygen'), ['-L', '-f', path], { env })).stdout
    expect(tidy(describeCertificate(key))).toBe(tidy(listed.slice(listed.indexOf('\n') + 1)))
    expect(await verifyCertificate(key)).toBe(true)
    expect(`${fingerprintLine(key)}\n`).toBe((await keygen('-l', '-f', path)).stdout)
    expect(`${bubbleBabbleLine(key)}\n`).toBe((await keygen('-B', '-f', path)).stdout)
    expect(await inspectKeys(await readFile(path))).toMatchObject([{ kind: 'certificate' }])
    return key
  }

  test.each(types)('of %s: facts, signature and fingerprints are those of ssh-keygen', async type => {
    await expectSameFacts(await certify(type, 'ed25519', '-I', 'who: häna, 1', '-n', 'hana,root', '-z', '7'))
    await expectSameFacts(await certify(type, 'ed25519', '-h', '-I', 'host', '-n', 'a.example,*.b', '-V', '-1d:+1d'))
  })

  test.each(authorities)('signed by %s', async authority => {
    const schemes = authority === 'rsa' ? ['rsa-sha2-256', 'rsa-sha2-512'] : [undefined]
    for (const scheme of schemes) {
      const path = await certify('ed25519', authority, '-I', 'x', '-n', 'x', ...(scheme ? ['-t', scheme] : []))
      const key = await expectSameFacts(path)
      if (scheme) expect(readCertificate(key)?.signature.scheme).toBe(scheme)
    }
  })

  test('SHA-1 proves nothing: ssh-keygen can still be told to sign so', async () => {
    const key = await publicIn(await certify('ed25519', 'rsa', '-I', 'x', '-n', 'x', '-t', 'ssh-rsa'))
    expect(readCertificate(key)?.signature.scheme).toBe('ssh-rsa')
    expect(await verifyCertificate(key)).toBe(false)
  })

  test.each([
    ['all options', ['-O', 'clear', '-O', 'force-command=/bin/a "b c"', '-O', 'source-address=192.0.2.0/24,::1']],
    ['flags', ['-O', 'no-port-forwarding', '-O', 'no-pty', '-O', 'verify-required', '-O', 'no-touch-required']],
    ['nothing', ['-O', 'clear']],
    ['from', ['-V', '20200101000000Z:forever']],
    ['to', ['-V', 'always:20380102030405Z']],
    ['the largest serial', ['-z', '18446744073709551615']],
  ])('with %s', async (_name, args) => {
    await expectSameFacts(await certify('ecdsa-256', 'ecdsa-384', '-I', 'x', '-n', 'x', ...args))
  })

  test.each(['ed25519', 'rsa', 'ecdsa-521', 'dsa'])("of %s: puttygen's own display", async type => {
    const path = await certify(type, 'ed25519', '-I', 'x', '-n', 'x')
    const key = await publicIn(path)
    expect(`${puttyFingerprint(key)}\n`).toBe((await puttygen('-l', path)).stdout)
    expect(`${puttyFingerprint(key, 'md5')}\n`).toBe((await puttygen('-l', '-E', 'md5', path)).stdout)
  })
})

/** The lines of `ssh-keygen -l` from our own reading. */
async function listed(path: string): Promise<string> {
  const found = await inspectKeys(await readFile(path), { fileName: path })
  return found
    .map(each => (each.public && 'label' in each ? `${fingerprintLine(each.public.withComment(each.label))}\n` : ''))
    .join('')
}

describe('files of lines', () => {
  const line = (type: string): string => writePublicLine(keyOf(type).publicKey).trimEnd()
  const bare = (type: string): string => line(type).split(' ').slice(0, 2).join(' ')

  test('authorized_keys: every line as ssh-keygen -l lists it', async () => {
    const lines = [
      '# a comment',
      '',
      // Debian's ssh-keygen goes on with the last comment where a line has none: those come first.
      bare('ecdsa-256'),
      `${bare('ecdsa-sk')} # a remark`,
      line('ed25519'),
      `\t ${line('rsa')}`,
      `no-pty,command="echo \\"a b\\" # c",from="192.0.2.*" ${bare('ecdsa-384')}`,
      `restrict ${line('ecdsa-521')}`,
      `cert-authority,principals="a,b" ${bare('ed25519-sk')}\t \ttwo  words `,
      'ssh-ed25519 AAAA broken',
      'not a key at all',
      line('dsa'),
    ]
    const path = await write('authorized_keys', lines.join('\n'))
    const wanted = (await keygen('-l', '-f', path)).stdout
    expect(wanted.split('\n')).toHaveLength(9)
    expect(await listed(path)).toBe(wanted)
    const found = await inspectKeys(await readFile(path))
    expect(found.map(each => each.line)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    expect(found.filter(each => 'error' in each)).toHaveLength(2)
  })

  test('known_hosts: every line as ssh-keygen -l lists it, hashed ones too', async () => {
    await mkdir(at('hosts'))
    const lines = [
      `a.example,192.0.2.1 ${bare('ed25519')}`,
      `[b.example]:2222 ${line('rsa')}`,
      `*.c.example,!d.c.example ${bare('ecdsa-256')}`,
      '# remark',
      `e.example ${bare('dsa')}`,
    ]
    const path = await write('hosts/known_hosts', `${lines.join('\n')}\n`)
    expect(await listed(path)).toBe((await keygen('-l', '-f', path)).stdout)
    await runOrThrow(peerPath('ssh-keygen'), ['-H', '-f', path], { env: home.env })
    const found = await inspectKeys(await readFile(path))
    expect(found.map(each => each.kind === 'known_hosts' && each.hosts)).toEqual([
      // Two names on a line become two lines.
      'hashed',
      'hashed',
      'hashed',
      // A pattern can't be hashed: ssh-keygen leaves it.
      '*.c.example,!d.c.example',
      'hashed',
    ])
    expect(await listed(path)).toBe((await keygen('-l', '-f', path)).stdout)
  })
})

describe('signatures', () => {
  test.each(['ed25519', 'ecdsa-521', 'rsa', 'dsa'])('by %s', async type => {
    const path = await write('signer', await openssh.write(keyOf(type)))
    const file = await write('message', 'what is signed')
    const made = await run(peerPath('ssh-keygen'), ['-Y', 'sign', '-n', 'file', '-f', path, file], { env: home.env })
    expect(made.status).toBe(0)
    const [found] = await inspectKeys(await readFile(`${file}.sig`))
    expect(found).toMatchObject({ kind: 'signature', version: 1, namespace: 'file', hash: 'sha512' })
    expect(found?.public?.equals(keyOf(type).publicKey)).toBe(true)
    await runOrThrow('/bin/rm', [`${file}.sig`], { env: home.env })
  })
})

describe('key revocation lists', () => {
  test('hold as much as ssh-keygen -Q -l says', async () => {
    const ca = await write('krl-ca.pub', writePublicLine(keyOf('ecdsa-256').publicKey))
    const spec = [
      'serial: 1',
      'serial: 5-1000',
      ...Array.from({ length: 40 }, (_, i) => `serial: ${5000 + 3 * i}`),
      'serial: 18446744073709551615',
      'id: somebody',
      'id: häna',
      `key: ${writePublicLine(keyOf('ed25519').publicKey).trim()}`,
      `sha1: ${writePublicLine(keyOf('rsa').publicKey).trim()}`,
      `sha256: ${writePublicLine(keyOf('dsa').publicKey).trim()}`,
      `hash: ${fingerprintLine(keyOf('ecdsa-521').publicKey).split(' ')[1]}`,
    ]
    const source = await write('spec', `${spec.join('\n')}\n`)
    await keygen('-q', '-k', '-f', at('krl'), '-s', ca, '-z', '42', source)
    const [found] = await inspectKeys(await readFile(at('krl')))
    if (found?.kind !== 'krl') throw new Error('no KRL')
    const shown = (await keygen('-Q', '-l', '-f', at('krl'))).stdout
    expect(shown).toContain(`# KRL version ${found.krl.version}\n`)
    expect(found.krl.version).toBe(42n)
    expect(Math.abs(Number(found.krl.generated) * 1000 - Date.now())).toBeLessThan(120_000)
    const serials = [...shown.matchAll(/^serial: (\d+)(?:-(\d+))?$/gm)].map(([, from = '', to]) =>
      to === undefined ? 1n : BigInt(to) - BigInt(from) + 1n,
    )
    const sum = (values: readonly bigint[]) => values.reduce((all, one) => all + one, 0n)
    expect(sum(serials)).toBe(1038n)
    expect(sum(found.krl.certificates.map(each => each.serials))).toBe(1038n)
    expect(found.krl.certificates.map(each => each.keyIds).reduce((a, b) => a + b)).toBe(2)
    expect(shown.match(/^id: /gm)).toHaveLength(2)
    for (const { authority } of found.krl.certificates) {
      expect(authority?.equals(keyOf('ecdsa-256').publicKey)).toBe(true)
    }
    expect(found.krl).toMatchObject({ keys: 1, sha1: 1, sha256: 2, signatures: 0, comment: '' })
    expect(shown.match(/^(# )?hash:? SHA/gm)).toHaveLength(4)
  })
})
