import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { generate, type PublicKey } from '@keytool/keygen'
import { formatAuthorizedKey } from '../src/servers/authorized-keys.js'
import { formatJournal, type HostRecord, type Journal, parseJournal } from '../src/servers/rotation/journal.js'
import { MAX_LINES } from '../src/servers/rotation/lines.js'
import { hostStates } from '../src/servers/rotation/states.js'
import { RotationStore } from '../src/servers/rotation/store.js'

let folder: string
let store: RotationStore
let old: PublicKey
let fresh: PublicKey
let journal: Journal

const host = (id: string, change: Partial<HostRecord> = {}): HostRecord => ({
  ...{ id, word: 'h', host: 'h.example', port: 22, user: 'u', reach: { port: '22', option: ['A=b'] }, state: 'start' },
  ...{ path: '~/.ssh/authorized_keys', old: [{ line: 1, text: 'no-pty ssh-rsa A \xe9\r\n', above: '' }] },
  ...{ before: [], added: ['ssh-rsa B'] },
  ...change,
})

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rotation-'))
  store = new RotationStore(folder)
  old = (await generate('ed25519', { comment: 'old' })).publicKey
  fresh = (await generate('ed25519', { comment: 'new' })).publicKey
  journal = {
    version: 1,
    old: { line: formatAuthorizedKey(old), file: '/home/u/.ssh/old' },
    new: { line: formatAuthorizedKey(fresh) },
    since: '2026-11-30T00:00:00.000Z',
    hosts: [host('a')],
    followed: { sessions: [{ name: 'web', key: '~/.ssh/old' }], rule: '{"file":"~/.ssh/old"}' },
  }
})

afterEach(() => rm(folder, { recursive: true }))

const hold = (one = old, other = fresh) => store.hold(one, other, () => journal)
const path = () => store.pathOf(old, fresh)
const onDisk = async () => parseJournal(await readFile(path()), path())

test('what is written comes back as it was, private, and nothing lies beside it', async () => {
  const held = await hold()
  expect(await readdir(join(folder, 'rotations'))).not.toContain(basename(path()))
  await held.change(current => ({ ...current, hosts: [...current.hosts, host('b', { state: 'removing' })] }))
  expect(await onDisk()).toEqual(held.current)
  expect(held.current.hosts).toEqual([host('a'), host('b', { state: 'removing' })])
  expect((await stat(path())).mode & 0o777).toBe(0o600)
  await held.release()
  const again = await hold()
  expect(again.current).toEqual(held.current)
  await again.remove()
  await again.release()
  expect(await readdir(join(folder, 'rotations'))).toEqual([])
})

test('many changes at once share their writes, and each is on disk when it is said to be', async () => {
  journal = { ...journal, hosts: Array.from({ length: 50 }, (_, i) => host(`h${i}`)) }
  const held = await hold()
  await Promise.all(
    journal.hosts.map(async ({ id }) => {
      for (const state of hostStates) {
        await held.change(current => ({
          ...current,
          hosts: current.hosts.map(each => (each.id === id ? { ...each, state } : each)),
        }))
        const there = (await onDisk()).hosts.find(each => each.id === id)?.state ?? 'start'
        expect(there).toBe(state)
      }
    }),
  )
  await held.release()
})

test('a key is in one rotation at a time; the lock of one who is gone is taken away', async () => {
  const held = await hold()
  const other = (await generate('ed25519')).publicKey
  await expect(hold()).rejects.toMatchObject({ code: 'refused', message: expect.stringContaining(String(process.pid)) })
  await expect(hold(other, old)).rejects.toMatchObject({ code: 'refused' })
  await expect(hold(fresh, other)).rejects.toMatchObject({ code: 'refused' })
  // Those who were refused hold nothing back.
  await held.release()
  for (const [one, another] of [
    [other, old],
    [fresh, other],
    [old, fresh],
  ] as const) {
    await (await hold(one, another)).release()
  }
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  const last = await hold()
  for (const name of (await readdir(join(folder, 'rotations'))).filter(each => each.endsWith('.lock'))) {
    const gone = JSON.stringify({ pid: child.pid, host: hostname(), token: 'x' })
    await writeFile(join(folder, 'rotations', name), gone)
  }
  // What it held is another's by now: it gives nothing back that is not its own.
  const next = await hold()
  await last.release()
  await expect(hold()).rejects.toMatchObject({ code: 'refused' })
  await next.release()
  expect(await readdir(join(folder, 'rotations'))).toEqual([])
})

test('a lock of another machine, or one that can’t be read, is not taken away', async () => {
  const held = await hold()
  const names = await readdir(join(folder, 'rotations'))
  await held.release()
  for (const text of [JSON.stringify({ pid: 1, host: 'elsewhere' }), 'nonsense', '']) {
    await writeFile(join(folder, 'rotations', names[0] ?? ''), text)
    await expect(hold()).rejects.toMatchObject({ code: 'refused', hint: expect.stringContaining(names[0] ?? '?') })
  }
})

describe('what others may have written is not followed', () => {
  const rotations = () => join(folder, 'rotations')

  beforeEach(async () => {
    const held = await hold()
    await held.change(current => current)
    await held.release()
  })

  const isRefused = async () => {
    const { journals, broken } = await store.list()
    expect({ journals, codes: broken.map(({ code }) => code) }).toEqual({ journals: [], codes: ['refused'] })
    await expect(hold()).rejects.toMatchObject({ code: 'refused' })
    expect(JSON.parse(await readFile(path(), 'utf8'))).toEqual(journal)
  }

  test.each(['the folder', 'the one above'])('%s, to be written by its group', async which => {
    await chmod(which === 'the folder' ? rotations() : folder, 0o770)
    await isRefused()
  })

  test('the journal, to be written by everybody', async () => {
    await chmod(path(), 0o602)
    await isRefused()
  })

  test.each(['folder', 'journal'])('another user’s %s', async what => {
    // Only root can give a file away, and only root's tests see this one.
    if (process.getuid?.() === 0) await chown(what === 'folder' ? rotations() : path(), 1, 1)
    else await chmod(rotations(), 0o707)
    await isRefused()
  })

  test('a link to another user’s folder', async () => {
    const theirs = join(folder, 'theirs')
    await rename(rotations(), theirs)
    await chmod(theirs, 0o777)
    await symlink(theirs, rotations())
    await isRefused()
  })
})

test('somebody else writes the journal: what would be done next is not done', async () => {
  const held = await hold()
  await held.change(current => current)
  await rm(path())
  await writeFile(path(), formatJournal({ ...journal, hosts: [] }))
  await expect(held.change(current => current)).rejects.toMatchObject({ code: 'failed' })
  await held.release()
})

test('a journal of a newer version is refused and not overwritten; neither is what can’t be read', async () => {
  await mkdir(join(folder, 'rotations'), { recursive: true })
  for (const [text, code] of [
    [JSON.stringify({ ...journal, version: 2 }), 'unsupported'],
    ['{', 'damaged'],
    ['[]', 'damaged'],
    [JSON.stringify({ ...journal, version: 1.5 }), 'damaged'],
  ] as const) {
    await writeFile(path(), text)
    await expect(hold()).rejects.toMatchObject({ code, message: expect.stringContaining(path()) })
    expect(await readFile(path(), 'utf8')).toBe(text)
    const { journals, broken } = await store.list()
    expect([journals, broken.map(error => error.code)]).toEqual([[], [code]])
  }
})

test.each<[string, (journal: Journal) => unknown]>([
  ['a state that is none', each => ({ ...each, hosts: [{ ...host('a'), state: 'perhaps' }] })],
  ['a host twice', each => ({ ...each, hosts: [host('a'), host('a')] })],
  ['two lines in one', each => ({ ...each, hosts: [host('a', { added: ['ssh-rsa A\nssh-rsa B'] })] })],
  [
    'two old lines in one',
    each => ({ ...each, hosts: [host('a', { old: [{ line: 1, text: 'a\nb\n', above: '' }] })] }),
  ],
  ['a line number below 1', each => ({ ...each, hosts: [host('a', { old: [{ line: 0, text: 'a', above: '' }] })] })],
  ['a host that is an option', each => ({ ...each, hosts: [host('a', { host: '-oProxyCommand=x' })] })],
  ['a port beyond the last', each => ({ ...each, hosts: [host('a', { port: 65536 })] })],
  ['a user with an escape', each => ({ ...each, hosts: [host('a', { user: '\u001b[2J' })] })],
  ['no key', each => ({ ...each, old: { line: 'nonsense' } })],
  ['a key missing', ({ old: _, ...each }) => each],
  ['a time that is none', each => ({ ...each, since: 'yesterday' })],
  ['too many lines', each => ({ ...each, hosts: [host('a', { added: new Array(2000).fill('a') })] })],
  ['reach that is a number', each => ({ ...each, hosts: [{ ...host('a'), reach: { port: 22 } }] })],
])('damage is named and left as it is: %s', (_what, change) => {
  const bytes = Buffer.from(JSON.stringify(change(journal)))
  expect(() => parseJournal(bytes, 'J')).toThrow(
    expect.objectContaining({ code: 'damaged', message: expect.stringMatching(/^J /) }),
  )
})

test('every field and state stands in the published schema', async () => {
  const schema = JSON.parse(await readFile(new URL('../schema/rotation.json', import.meta.url), 'utf8'))
  const full = { ...journal, finished: journal.since }
  const { properties, $defs } = schema
  const names = (value: object) => Object.keys(value).sort()
  expect(names(properties)).toEqual(names(full))
  expect(names($defs.host.properties)).toEqual(names(host('a')))
  expect(names($defs.host.properties.old.items.properties)).toEqual(names(host('a').old[0] ?? {}))
  expect(names($defs.key.properties)).toEqual(names(journal.old))
  expect(names(properties.followed.properties)).toEqual(names(journal.followed))
  expect($defs.host.properties.state.enum).toEqual(hostStates)
  expect([$defs.lines.maxItems, $defs.host.properties.old.maxItems]).toEqual([MAX_LINES, MAX_LINES])
})

test('what could be written but never read again is not written, and is in nobody else’s way', async () => {
  const held = await hold()
  await expect(held.change(each => ({ ...each, hosts: [host('a'), host('a')] }))).rejects.toMatchObject({
    code: 'damaged',
  })
  await expect(held.change(each => ({ ...each, hosts: [host('a', { user: '\n' })] }))).rejects.toMatchObject({
    code: 'damaged',
  })
  expect(await readdir(join(folder, 'rotations'))).not.toContain(basename(path()))
  await held.change(each => ({ ...each, hosts: [host('b')] }))
  expect((await onDisk()).hosts).toEqual([host('b')])
  await held.release()
})
