import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fingerprint, generate, hideName, KeytoolError, type PublicKey, Writer } from '@keytool/keygen'
import { forgetHost } from '../src/known-hosts/forget.js'
import { type UpdateHostKeysOptions, updateHostKeys } from '../src/known-hosts/rotate.js'
import { KnownHosts } from '../src/known-hosts/store.js'

const HOST = 'mail.example'

let home: string
let file: string
let second: string
let keys: Record<'old' | 'now' | 'next' | 'other' | 'rsa', PublicKey>

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
  file = join(home, 'known_hosts')
  second = join(home, 'second')
  const make = async (type: string) => (await generate(type)).publicKey
  keys = {
    old: await make('ecdsa-256'),
    now: await make('ed25519'),
    next: await make('ecdsa-384'),
    other: await make('ed25519'),
    rsa: await make('rsa'),
  }
})

afterAll(() => rm(home, { recursive: true }))

const text = ({ algorithm, blob }: PublicKey) => `${algorithm.name} ${blob.toString('base64')}`
const blobs = (...those: readonly PublicKey[]) => those.map(({ blob }) => blob)

/** `{now}` and the like stand for keys. */
const fill = (template: string) =>
  template.replaceAll(/\{(\w+)\}/g, (_all, name: string) => text(keys[name as keyof typeof keys]))

const open = () => new KnownHosts({ home, files: [file, second], systemFiles: [] })

/** The server lists these, and proves what it is asked to. */
async function update(offered: readonly Buffer[], more: Partial<UpdateHostKeysOptions> = {}) {
  const proved: Buffer[] = []
  const found = await updateHostKeys({
    knownHosts: open(),
    host: HOST,
    port: 22,
    current: keys.now.blob,
    offered,
    prove: async asked => void proved.push(...asked),
    ...more,
  })
  const names = Object.entries(keys)
  const named = (list: readonly { blob: Buffer }[]) =>
    list.map(({ blob }) => names.find(([, key]) => key.blob.equals(blob))?.[0])
  return {
    added: named(found.added),
    removed: named(found.removed),
    proved: named(proved.map(blob => ({ blob }))),
    ...(found.skipped !== undefined && { skipped: found.skipped }),
  }
}

const none = { added: [], removed: [], proved: [] }

describe('a list of keys', () => {
  const shown = () => blobs(keys.now, keys.next)
  const MARKED = 'the host stands on a line with a marker, a pattern or several names'

  test.each<[string, string, Awaited<ReturnType<typeof update>>, string?]>([
    [
      'new',
      'mail.example {now}\n',
      { ...none, added: ['next'], proved: ['next'] },
      'mail.example {now}\nmail.example {next}\n',
    ],
    ['nothing new', 'mail.example {now}\nmail.example {next} x\n', none],
    [
      'an old one gone',
      '# a\nmail.example {old}\n\nmail.example {now} me\r\njunk',
      { added: ['next'], removed: ['old'], proved: ['next'] },
      '# a\n\nmail.example {now} me\r\njunk\nmail.example {next}\n',
    ],
    [
      'only an old one gone: nothing is to be proved',
      'mail.example {old}\nmail.example {now}\nmail.example {next}\n',
      { ...none, removed: ['old'] },
      'mail.example {now}\nmail.example {next}\n',
    ],
    [
      'an old one twice, one of them in capitals',
      'mail.example {old}\nMAIL.example {old} x\nmail.example {now}\nmail.example {next}\n',
      { ...none, removed: ['old'] },
      'mail.example {now}\nmail.example {next}\n',
    ],
    [
      'an old one that has another name: that stays',
      ' mail.example,192.0.2.1\t{old} x\nmail.example {now}\nmail.example {next}\n',
      { ...none, removed: ['old'] },
      ' 192.0.2.1\t{old} x\nmail.example {now}\nmail.example {next}\n',
    ],
    ['a pattern', '*.example {now}\n', { ...none, skipped: MARKED }],
    ['several names', 'mail.example,a,b {now}\n', { ...none, skipped: MARKED }],
    ['an authority', 'mail.example {now}\n@cert-authority *.example {other}\n', { ...none, skipped: MARKED }],
    ['a revoked key', 'mail.example {now}\n@revoked * {next}\n', { ...none, skipped: MARKED }],
    [
      'its key is noted elsewhere, too',
      'mail.example {now}\nweb.example {now}\n',
      { ...none, skipped: 'one of its keys is noted under another name' },
    ],
    [
      'its new key is noted elsewhere',
      'mail.example {now}\nweb.example {next}\n',
      { ...none, skipped: 'one of its keys is noted under another name' },
    ],
    [
      'its old key is noted elsewhere',
      'mail.example {now}\nmail.example {old}\nweb.example {old}\n',
      { ...none, skipped: 'a key it no longer has is noted under another name' },
    ],
    [
      'a type nobody knows stays',
      'mail.example ssh-new@example AAAAD3NzaC1uZXdAZXhhbXBsZQ==\nmail.example {now}\nmail.example {next}\n',
      none,
    ],
    [
      'known under a name without a port, or by a pattern of others',
      'other.example {now}\n',
      {
        ...none,
        skipped: 'the key it shows is not noted under this name',
      },
    ],
  ])('%s', async (_what, before, expected, after = before) => {
    await rm(second, { force: true })
    await writeFile(file, fill(before))
    expect(await update(shown())).toEqual(expected)
    expect(await readFile(file, 'utf8')).toBe(fill(after))
  })

  test('hidden names stay hidden, and new ones are', async () => {
    await writeFile(file, fill(`${hideName(HOST)} {now}\n${hideName(HOST)} {old}\nweb.example {other}\n`))
    expect(await update(shown())).toMatchObject({ added: ['next'], removed: ['old'] })
    const written = await readFile(file, 'utf8')
    expect(written).not.toContain(HOST)
    expect(written).not.toContain(text(keys.old))
    expect(written.startsWith('|1|')).toBe(true)
    expect((await open().lookup(HOST, 22, keys.next.blob)).state).toBe('known')
  })

  test('several files: new ones go to the first, old ones from each', async () => {
    await writeFile(file, fill('web.example {other}\n'))
    await writeFile(second, fill('mail.example {old}\nmail.example {now}\n'))
    expect(await update(shown())).toMatchObject({ added: ['next'], removed: ['old'] })
    expect(await readFile(file, 'utf8')).toBe(fill('web.example {other}\nmail.example {next}\n'))
    expect(await readFile(second, 'utf8')).toBe(fill('mail.example {now}\n'))
  })

  test('a file that holds what was found out by nobody of ours is not the user’s to change', async () => {
    await writeFile(file, '')
    await writeFile(second, fill('mail.example {now}\n'))
    const knownHosts = new KnownHosts({ home, files: [file], systemFiles: [second] })
    expect(await update(shown(), { knownHosts })).toMatchObject({ added: [], skipped: expect.any(String) })
    const readOnly = new KnownHosts({ home, files: [second], systemFiles: [], readOnly: true })
    expect(await update(shown(), { knownHosts: readOnly })).toEqual(none)
    expect(await readFile(file, 'utf8')).toBe('')
  })

  test('a port is part of the name', async () => {
    await rm(second)
    await writeFile(file, fill('mail.example {now}\n'))
    expect(await update(shown(), { port: 2222 })).toMatchObject({ skipped: expect.any(String) })
    await writeFile(file, fill('[mail.example]:2222 {now}\n'))
    expect(await update(shown(), { port: 2222 })).toMatchObject({ added: ['next'] })
    expect(await readFile(file, 'utf8')).toBe(fill('[mail.example]:2222 {now}\n[mail.example]:2222 {next}\n'))
  })
})

describe('a server that lies', () => {
  beforeEach(() => writeFile(file, fill('mail.example {now}\nmail.example {old}\n')))
  afterEach(async () => expect(await readFile(file, 'utf8')).toBe(fill('mail.example {now}\nmail.example {old}\n')))

  test('does not prove its new key: nothing is added, and nothing removed', async () => {
    const prove = async () => {
      throw new KeytoolError('damaged', 'a bad signature')
    }
    await expect(update(blobs(keys.now, keys.next), { prove })).rejects.toMatchObject({ message: 'a bad signature' })
  })

  test.each<[string, () => readonly Buffer[]]>([
    ['lists nothing', () => []],
    ['does not list the key it shows', () => blobs(keys.next)],
    ['lists a key twice', () => blobs(keys.now, keys.next, keys.next)],
    ['lists too many', () => [keys.now.blob, ...Array.from({ length: 64 }, (_, i) => Buffer.from([i]))]],
    ['lists a huge one', () => [keys.now.blob, Buffer.alloc(8193)]],
  ])('%s', async (_what, offered) => {
    expect(await update(offered())).toMatchObject({ ...none, skipped: expect.any(String) })
  })

  test('or is not wanted to change its keys', async () => {
    const asked: string[] = []
    const ask: UpdateHostKeysOptions['ask'] = async ({ added, removed }) => {
      asked.push(...[...added, ...removed].map(key => fingerprint(key)))
      return false
    }
    expect(await update(blobs(keys.now, keys.next), { ask })).toMatchObject({ added: [], removed: [] })
    expect(asked).toEqual([fingerprint(keys.next), fingerprint(keys.old)])
  })
})

test('weak keys, damaged ones and those of types that nobody asks for are not noted', async () => {
  await writeFile(file, fill('mail.example {now}\n'))
  const weak = new Writer()
    .text('ssh-rsa')
    .mpint(Buffer.from('010001', 'hex'))
    .mpint(Buffer.concat([Buffer.of(0xc1), Buffer.alloc(126), Buffer.of(1)]))
    .done()
  const future = new Writer().text('ssh-new@example').done()
  const ed448 = (await generate('ed448')).publicKey
  const offered = [keys.now.blob, weak, future, ed448.blob, Buffer.from('junk'), keys.rsa.blob]
  expect(await update(offered)).toEqual({ added: ['rsa'], removed: [], proved: ['rsa'] })
  // What it lists stays, of whatever kind: it may have been noted by ssh.
  const both = `mail.example ssh-ed448 ${ed448.blob.toString('base64')}\nmail.example {now}\nmail.example {rsa}\n`
  await writeFile(file, fill(both))
  expect(await update(offered)).toEqual(none)
  expect(await readFile(file, 'utf8')).toBe(fill(both))
})

describe('forgetting a host', () => {
  const forget = async (before: string, host = HOST, port = 22) => {
    await writeFile(file, fill(before))
    await rm(second, { force: true })
    const { removed, left } = await forgetHost(open(), host, port)
    const lines = (list: typeof removed) => list.map(({ place }) => place.line)
    return { removed: lines(removed), left: lines(left), after: await readFile(file, 'utf8') }
  }

  test('its lines go, whatever the key; all others stay byte for byte, and the old file is kept', async () => {
    const junk = '\r\n# mail.example\n mail.example\nmail.example ssh-ed25519 AAAA\n\ufeff'
    const before = `mail.example {now}\nweb.example {now}\n${hideName(HOST)} {old}\n${junk}`
    expect(await forget(before)).toEqual({ removed: [1, 3], left: [], after: fill(`web.example {now}\n${junk}`) })
    expect(await readFile(`${file}.old`, 'utf8')).toBe(fill(before))
  })

  test('other names, patterns, authorities and revoked keys stay', async () => {
    const rest = '*.example {old}\n@revoked * {old}\n@cert-authority *.example {other}\n'
    expect(await forget(`a,Mail.Example,b {now} x\n${rest}`)).toEqual({
      removed: [1],
      left: [2, 3, 4],
      after: fill(`a,b {now} x\n${rest}`),
    })
  })

  test('a list with bytes that are no UTF-8 keeps them', async () => {
    const text = Buffer.from(fill('a,mail.example,?? {now}\n').replace('??', 'b\xff\xe9'), 'latin1')
    await writeFile(file, text)
    expect((await forgetHost(open(), HOST, 22)).removed).toHaveLength(1)
    expect(await readFile(file, 'latin1')).toBe(fill('a,?? {now}\n').replace('??', 'b\xff\xe9'))
  })

  test('another port is another name', async () => {
    const before = 'mail.example {now}\n[mail.example]:2222 {now}\n'
    expect(await forget(before, HOST, 2222)).toMatchObject({ removed: [2], after: fill('mail.example {now}\n') })
    await rm(`${file}.old`)
    expect(await forget(before, HOST, 2223)).toEqual({ removed: [], left: [], after: fill(before) })
    await expect(readFile(`${file}.old`)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
