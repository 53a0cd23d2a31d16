import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate, hideName, type PublicKey } from '@keytool/keygen'
import { forgetHost } from '../src/known-hosts/forget.js'
import { updateHostKeys } from '../src/known-hosts/rotate.js'
import { KnownHosts } from '../src/known-hosts/store.js'

// Files that nobody would write: answered, or refused with a word, and never changed where they are not understood.

const MiB = 1024 * 1024
const HOST = 'mail.example'

let home: string
let file: string
let key: PublicKey
let next: PublicKey

beforeAll(async () => {
  key = (await generate('ed25519')).publicKey
  next = (await generate('ed25519')).publicKey
})

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
  file = join(home, 'known_hosts')
})

afterEach(() => rm(home, { recursive: true }))

const open = () => new KnownHosts({ home, files: [file], systemFiles: [] })
const line = (hosts: string) => `${hosts} ${key.algorithm.name} ${key.blob.toString('base64')}\n`
const lookup = async () => (await open().lookup(HOST, 22, key.blob)).state
const rotate = () =>
  updateHostKeys({
    knownHosts: open(),
    host: HOST,
    port: 22,
    current: key.blob,
    offered: [key.blob, next.blob],
    prove: async () => {},
  })

test('100 MB: refused by everybody, with the size that is allowed', async () => {
  await writeFile(file, line(HOST))
  await truncate(file, 100 * MiB)
  const refusal = { code: 'damaged', message: expect.stringContaining('16777216 bytes') }
  await expect(lookup()).rejects.toMatchObject(refusal)
  await expect(open().remember('other', 22, key.blob)).rejects.toMatchObject(refusal)
  await expect(forgetHost(open(), HOST, 22)).rejects.toMatchObject(refusal)
  await expect(rotate()).rejects.toMatchObject(refusal)
  expect((await stat(file)).size).toBe(100 * MiB)
})

test.each<[string, () => Buffer]>([
  ['UTF-16, little endian', () => Buffer.from(`\ufeff${line(HOST)}`, 'utf16le')],
  ['UTF-16, big endian', () => Buffer.from(`\ufeff${line(HOST)}`, 'utf16le').swap16()],
  ['a NUL byte at the end', () => Buffer.from(`${line(HOST)}\0`)],
])('%s: refused, and not a byte is changed', async (_what, make) => {
  const bytes = make()
  await writeFile(file, bytes)
  await expect(lookup()).rejects.toMatchObject({ code: 'damaged', hint: expect.any(String) })
  await expect(open().remember('other', 22, key.blob)).rejects.toMatchObject({ code: 'damaged' })
  await expect(forgetHost(open(), HOST, 22)).rejects.toMatchObject({ code: 'damaged' })
  await expect(rotate()).rejects.toMatchObject({ code: 'damaged' })
  expect((await readFile(file)).equals(bytes)).toBe(true)
})

test('more lines with keys than any real file: refused', async () => {
  await writeFile(file, 'a a AAAAAWE=\n'.repeat(200_001))
  await expect(lookup()).rejects.toMatchObject({ code: 'damaged', hint: expect.any(String) })
})

test.each<[string, () => string]>([
  ['a million lines of junk', () => 'junk\n'.repeat(1_000_000)],
  ['eight million empty lines', () => '\n'.repeat(8_000_000)],
  ['a line of 1 MB', () => `${'x'.repeat(MiB)}\n`],
  ['a list of 100,000 names', () => line(`${'a,'.repeat(100_000)}b`)],
  ['a comment of 1 MB', () => `${line('other').trimEnd()} ${'x'.repeat(MiB)}\n`],
  ['a key of 1 MB', () => `other ssh-rsa AAAAB3NzaC1yc2E${'A'.repeat(MiB)}\n`],
  ['a pattern full of stars', () => line(`${'*a'.repeat(100_000)}b`)],
  ['markers without end', () => `${'@revoked '.repeat(100_000)}\n`],
  ['hashes that are none', () => line(`|1|${'|'.repeat(MiB)}`)],
  ['10,000 hidden names', () => Array.from({ length: 10_000 }, (_, i) => line(hideName(`host${i}`, SALT))).join('')],
  ['escapes for a terminal', () => `\x1b]0;x\x07 ${line('\x1b[2J')}`],
  ['bytes that are no UTF-8', () => '\udcff\ufffe \xff\n'],
])(
  '%s: passed over, and left as it is when another line changes',
  async (_what, make) => {
    const before = make()
    await writeFile(file, `${before}${line(HOST)}`)
    expect(await lookup()).toBe('known')
    // Some of these hold the very key under another name: then nothing is changed.
    const { added, skipped } = await rotate()
    expect(added.length === 1 || skipped === 'one of its keys is noted under another name').toBe(true)
    const { removed } = await forgetHost(open(), HOST, 22)
    expect(removed.length).toBe(1 + added.length)
    expect((await readFile(file)).equals(Buffer.from(before))).toBe(true)
  },
  60_000,
)

const SALT = Buffer.alloc(20, 7)
