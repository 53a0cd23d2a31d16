import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { fingerprint } from '../packages/keygen/src/fingerprint.js'
import { writePublicLine } from '../packages/keygen/src/formats/lines/public.js'
import { ppk1, ppk2, ppk3 } from '../packages/keygen/src/formats/ppk/ppk.js'
import type { PrivateKey } from '../packages/keygen/src/key.js'
import { type Ppk1Oddities, writePpk1 } from '../packages/keygen/test/ppk1-writer.js'
import { sampleKey } from '../packages/keygen/test/sample-keys.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { type RunResult, run, runOrThrow } from './world/run.js'

jest.setTimeout(60_000)

/** Every type that PuTTY has. */
const types = ['ed25519', 'ed448', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa', 'dsa']
const versions = [
  { version: 2, format: ppk2 },
  { version: 3, format: ppk3 },
] as const
const comment = 'häna@laptop 1'
const secrets = ['correct horse', 'ключ 鍵 clé']

let home: Home
const keys = new Map<string, PrivateKey>()

beforeAll(async () => {
  home = await temporaryHome()
  for (const type of types) keys.set(type, await sampleKey(type, comment))
})
afterAll(() => home.dispose())

function keyOf(type: string): PrivateKey {
  const key = keys.get(type)
  if (!key) throw new Error(`no key of type ${type}`)
  return key
}

/** A path of its own for each file. */
let count = 0
const fresh = (name: string): string => join(home.path, `${++count}-${name}`)

async function put(bytes: Uint8Array): Promise<string> {
  const path = fresh('key.ppk')
  await writeFile(path, bytes, { mode: 0o600 })
  return path
}

const puttygen = (...args: string[]): Promise<RunResult> => run(peerPath('puttygen'), args, { env: home.env })

interface Saving {
  readonly version: 2 | 3
  /** Opens the file. */
  readonly old?: string | undefined
  /** Protects what is written. Default: what opened the file. */
  readonly secret?: string | undefined
  readonly costs?: string
  readonly more?: readonly string[]
}

/** The file as puttygen saves it. Rejects when puttygen does not open it. */
async function resave(file: string, saving: Saving): Promise<Buffer> {
  const { version, old, secret = old ?? '', costs = 'memory=64,passes=1', more = [] } = saving
  const out = fresh('saved.ppk')
  const args = [file, '-O', 'private', '-o', out, '--ppk-param', `version=${version},${costs}`, ...more]
  // A new passphrase is a reason to write at all; an empty one leaves the file in the clear.
  args.push('-P', '--new-passphrase', await secretFile(secret))
  if (old !== undefined) args.push('--old-passphrase', await secretFile(old))
  await runOrThrow(peerPath('puttygen'), args, { env: home.env })
  return readFile(out)
}

async function secretFile(secret: string): Promise<string> {
  const path = fresh('secret')
  await writeFile(path, secret, { mode: 0o600 })
  return path
}

function expectSame(back: PrivateKey, key: PrivateKey): void {
  expect(back.publicKey.blob).toEqual(key.publicKey.blob)
  for (const [name, part] of Object.entries(key.parts)) expect(back.parts[name]).toEqual(part)
}

describe.each(types)('%s', type => {
  test.each(versions)('in the clear, version $version is what puttygen writes, byte for byte', async row => {
    const ours = await row.format.write(keyOf(type))
    expect(await resave(await put(ours), row)).toEqual(ours)
    const other = versions[0] === row ? versions[1] : versions[0]
    expect(await resave(await put(ours), other)).toEqual(await other.format.write(keyOf(type)))
  })

  test.each(secrets)('encrypted with %j, version 2 is what puttygen writes, byte for byte', async secret => {
    const ours = await ppk2.write(keyOf(type), { passphrase: Buffer.from(secret) })
    const plain = await put(await ppk2.write(keyOf(type)))
    expect(await resave(plain, { version: 2, secret })).toEqual(ours)
    expect(await resave(await put(ours), { version: 2, old: secret })).toEqual(ours)
  })

  test.each(secrets)('encrypted with %j, version 3 goes to puttygen and comes back', async secret => {
    const passphrase = Buffer.from(secret)
    const ours = await ppk3.write(keyOf(type), { passphrase, argon2: { memory: 64, passes: 1 } })
    const theirs = await resave(await put(ours), { version: 3, old: secret })
    const back = await ppk3.read(theirs, { passphrase })
    expectSame(back, keyOf(type))
    expect(back.comment).toBe(comment)
    expect(theirs).not.toEqual(ours)
    expect(await resave(await put(ours), { version: 2, old: secret })).toEqual(
      await ppk2.write(keyOf(type), { passphrase }),
    )
  })

  test('puttygen shows the same public line', async () => {
    const shown = await puttygen(await put(await ppk3.write(keyOf(type))), '-O', 'public-openssh')
    expect(shown.stdout).toBe(writePublicLine(keyOf(type).publicKey))
  })
})

describe('what puttygen makes itself', () => {
  const made = [
    ['-t', 'ed25519'],
    ['-t', 'ed448'],
    ['-t', 'ecdsa', '-b', '256'],
    ['-t', 'ecdsa', '-b', '384'],
    ['-t', 'ecdsa', '-b', '521'],
    ['-t', 'rsa', '-b', '1024'],
    ['-t', 'dsa', '-b', '1024'],
  ].map(args => [args.join(' '), args] as const)

  test.each(made)('%s, both versions, encrypted', async (_name, args) => {
    const file = fresh('made.ppk')
    const options = [
      '-q',
      '-C',
      comment,
      '--new-passphrase',
      await secretFile('secret'),
      '--random-device',
      '/dev/urandom',
    ]
    const costs = ['--ppk-param', 'version=3,memory=64,passes=2']
    await runOrThrow(peerPath('puttygen'), [...args, ...options, ...costs, '-o', file], { env: home.env })
    const passphrase = Buffer.from('secret')
    const key = await ppk3.read(await readFile(file), { passphrase })
    expect(key.comment).toBe(comment)
    const theirs = await resave(file, { version: 2, old: 'secret' })
    expectSame(await ppk2.read(theirs, { passphrase }), key)
    expect(await ppk2.write(key, { passphrase })).toEqual(theirs)
  })
})

describe('the parameters of Argon2', () => {
  test.each([
    { kind: 'Argon2id', memory: 8192, passes: 3, parallelism: 1 },
    { kind: 'Argon2i', memory: 100, passes: 2, parallelism: 3 },
    { kind: 'Argon2d', memory: 1024, passes: 5, parallelism: 16 },
    { kind: 'Argon2id', memory: 2040, passes: 1, parallelism: 255 },
  ] as const)('%j', async argon2 => {
    const { kind, memory, passes, parallelism } = argon2
    const passphrase = Buffer.from('secret')
    const ours = await ppk3.write(keyOf('ed25519'), { passphrase, argon2 })
    const costs = `kdf=${kind},memory=${memory},passes=${passes},parallelism=${parallelism}`
    const theirs = await resave(await put(ours), { version: 3, old: 'secret', costs })
    expect((await ppk3.inspect(theirs)).kdf).toEqual({ name: kind, memory, passes, parallelism })
    expectSame(await ppk3.read(theirs, { passphrase }), keyOf('ed25519'))
  })
})

describe('comments', () => {
  test.each([
    ['none', ''],
    ['blanks at both ends', '  both ends  '],
    ['a tab', 'a\tb'],
    ['UTF-8', 'ключ 鍵 😀'],
    ['4 KiB', 'x'.repeat(4096)],
    ['what looks like a line of its own', 'Comment: Public-Lines: 2'],
  ])('%s', async (_name, text) => {
    const file = await put(await ppk2.write(keyOf('ed25519')))
    for (const row of versions) {
      const theirs = await resave(file, { ...row, more: ['-C', text] })
      expect(theirs).toEqual(await row.format.write(keyOf('ed25519').withComment(text)))
      expect((await row.format.read(theirs)).comment).toBe(text)
    }
  })

  test('in the letters of old Windows: read, and written in UTF-8', async () => {
    const [file, out] = [await put(await ppk3.write(keyOf('ed25519'))), fresh('latin1.ppk')]
    // Arguments are UTF-8 here: the shell makes the other byte.
    const script = `"$1" "$2" -C "$(printf 'caf\\351')" -O private -o "$3"`
    await runOrThrow('/bin/sh', ['-c', script, 'sh', peerPath('puttygen'), file, out], { env: home.env })
    const theirs = await readFile(out)
    expect(theirs.includes(Buffer.from('Comment: caf\xe9\n', 'latin1'))).toBe(true)
    const back = await ppk3.read(theirs)
    expect(back.comment).toBe('café')
    const ours = await ppk3.write(back)
    expect(await resave(await put(ours), { version: 3 })).toEqual(ours)
  })
})

describe('version 1, which no program writes any more', () => {
  const ways: readonly (readonly [string, Ppk1Oddities])[] = [
    ['in the clear', {}],
    ['in the clear, with a MAC', { mac: true }],
    ['encrypted', { passphrase: 'secret' }],
  ]
  const cases = ['rsa', 'dsa'].flatMap(type => ways.map(([name, way]) => [type, name, way] as const))

  test.each(cases)('%s, %s: puttygen reads what the test makes, and so do we', async (type, _name, way) => {
    const bytes = writePpk1(keyOf(type), way)
    const file = await put(bytes)
    const secret = way.passphrase
    const passphrase = Buffer.from(secret ?? '')
    const key = await ppk1.read(bytes, secret === undefined ? {} : { passphrase })
    const ours = await ppk2.write(key, secret === undefined ? {} : { passphrase })
    expect(await resave(file, { version: 2, old: secret })).toEqual(ours)
  })

  test('a wrong hash of a DSA group is refused by both', async () => {
    const bytes = writePpk1(keyOf('dsa'), { groupHash: Buffer.alloc(20) })
    await expect(ppk1.read(bytes)).rejects.toMatchObject({ code: 'damaged' })
    expect(await puttygen(await put(bytes), '-O', 'public-openssh')).toMatchObject({ status: 0 })
    await expect(resave(await put(bytes), { version: 2 })).rejects.toThrow('createkey failed')
  })
})

/** Whether it is done in the end. */
const succeeds = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => true,
    () => false,
  )

describe('odd files, as puttygen takes them', () => {
  const both = [
    ['CRLF', (text: string) => text.replaceAll('\n', '\r\n'), true],
    ['no last newline', (text: string) => text.trimEnd(), true],
    ['a blank line at the end', (text: string) => `${text}\n`, true],
    ['a blank in the base64', (text: string) => text.replace('\nAAAA', '\n AAAA'), false],
    ['a byte order mark', (text: string) => `\xef\xbb\xbf${text}`, false],
    ['a blank line at the beginning', (text: string) => `\n${text}`, false],
    ['another comment', (text: string) => text.replace('laptop', 'Laptop'), false],
    // Here we are the one or the other: text behind a key is no part of it, and capitals are hex.
    ['text behind the key', (text: string) => `${text}more\n`, 'puttygen'],
    ['CR alone', (text: string) => text.replaceAll('\n', '\r'), 'puttygen'],
    ['a MAC in capitals', (text: string) => text.replace(/[0-9a-f]+\n$/, hex => hex.toUpperCase()), 'keytool'],
  ] as const

  test.each(both)('%s', async (_name, spoil, who) => {
    const bytes = Buffer.from(spoil((await ppk3.write(keyOf('ed25519'))).toString('latin1')), 'latin1')
    const file = await put(bytes)
    expect(await succeeds(resave(file, { version: 3 }))).toBe(who === true || who === 'puttygen')
    expect(await succeeds(ppk3.read(bytes))).toBe(who === true || who === 'keytool')
  })
})

describe('a certificate in the file', () => {
  test.each(['ed25519', 'ecdsa-256', 'rsa'])('%s', async type => {
    const folder = fresh('certificate')
    await mkdir(folder)
    const [authority, line] = [join(folder, 'ca'), join(folder, 'key.pub')]
    const sshKeygen = (...args: string[]) => runOrThrow(peerPath('ssh-keygen'), args, { env: home.env })
    await sshKeygen('-q', '-t', 'ed25519', '-N', '', '-f', authority)
    await writeFile(line, writePublicLine(keyOf(type).publicKey))
    await sshKeygen('-q', '-s', authority, '-I', 'hana', '-n', 'root', line)
    const certificate = join(folder, 'key-cert.pub')
    const wanted = (await readFile(certificate, 'utf8')).split(' ')[1] ?? ''

    const plain = await put(await ppk3.write(keyOf(type)))
    const bytes = await resave(plain, { version: 3, more: ['--certificate', certificate] })
    const { public: shown } = await ppk3.inspect(bytes)
    expect(shown?.blob.toString('base64')).toBe(wanted)
    expect(shown && fingerprint(shown)).toBe(fingerprint(keyOf(type).publicKey))
    expectSame(await ppk3.read(bytes), keyOf(type))

    const sealed = await resave(await put(bytes), { version: 2, secret: 'secret' })
    expect((await ppk2.inspect(sealed)).public?.blob.toString('base64')).toBe(wanted)
    expectSame(await ppk2.read(sealed, { passphrase: Buffer.from('secret') }), keyOf(type))
    // Without its certificate it is the file that we write.
    const removed = await resave(await put(bytes), { version: 3, more: ['--remove-certificate'] })
    expect(removed).toEqual(await ppk3.write(keyOf(type)))
  })
})
