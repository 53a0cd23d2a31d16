import { appendFileSync, renameSync, writeFileSync } from 'node:fs'
import { chmod, lstat, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { appendToOwn } from '../src/known-hosts/append.js'
import { linesAdded, withLines } from '../src/known-hosts/lines.js'
import { whileLocked } from '../src/known-hosts/lock.js'
import { rewriteOwn } from '../src/known-hosts/rewrite.js'

let home: string
let file: string
let lock: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
  file = join(home, 'known_hosts')
  lock = join(home, '.known_hosts.lock')
})

afterEach(() => rm(home, { recursive: true }))

const content = () => readFile(file, 'utf8')
const without = (line: string) => (bytes: Buffer) => {
  const text = bytes.toString()
  return text.includes(line) ? Buffer.from(text.replace(line, '')) : undefined
}

test('mode, link and old file are kept; nothing else is left behind', async () => {
  const real = join(home, 'real')
  await writeFile(real, 'a\nb\n')
  await chmod(real, 0o640)
  await symlink('real', file)
  expect(await rewriteOwn(file, without('a\n'), { keepOld: true })).toBe(true)
  expect(await rewriteOwn(file, without('a\n'), { keepOld: true })).toBe(false)
  expect((await lstat(file)).isSymbolicLink()).toBe(true)
  expect((await stat(real)).mode & 0o777).toBe(0o640)
  expect(await readFile(real, 'utf8')).toBe('b\n')
  expect(await readFile(`${file}.old`, 'utf8')).toBe('a\nb\n')
  expect((await readdir(home)).sort()).toEqual(['known_hosts', 'known_hosts.old', 'real'])
})

test('a file that is not there, a folder, a device, another user’s', async () => {
  expect(await rewriteOwn(file, () => Buffer.from('x'))).toBe(false)
  await expect(rewriteOwn(home, () => Buffer.from('x'))).rejects.toMatchObject({ code: 'failed' })
  await writeFile(file, 'theirs\n')
  const mine = process.geteuid
  process.geteuid = () => 1 + (process.getuid?.() ?? 0)
  try {
    await expect(rewriteOwn(file, () => Buffer.from('x'))).rejects.toMatchObject({ code: 'refused' })
  } finally {
    Object.assign(process, { geteuid: mine })
  }
  expect(await content()).toBe('theirs\n')
})

test('what is appended while the change is made is in it: it is made anew', async () => {
  await writeFile(file, 'a\nb\n')
  let calls = 0
  const edit = (bytes: Buffer) => {
    if (++calls === 1) appendFileSync(file, 'c\n')
    return without('a\n')(bytes)
  }
  expect(await rewriteOwn(file, edit)).toBe(true)
  expect(calls).toBe(2)
  expect(await content()).toBe('b\nc\n')
})

test('what another program puts in its place meanwhile counts, not what was read', async () => {
  await writeFile(file, 'a\nb\n')
  let calls = 0
  const edit = (bytes: Buffer) => {
    if (++calls === 1) {
      writeFileSync(`${file}.new`, 'a\nd\n')
      renameSync(`${file}.new`, file)
    }
    return without('a\n')(bytes)
  }
  expect(await rewriteOwn(file, edit)).toBe(true)
  expect(calls).toBe(2)
  expect(await content()).toBe('d\n')
})

test('many rewriters and many who append, at once: nothing is lost', async () => {
  const gone = Array.from({ length: 20 }, (_, i) => `gone ${i}\n`)
  const ours = Array.from({ length: 20 }, (_, i) => `ours ${i}\n`)
  const theirs = Array.from({ length: 100 }, (_, i) => `theirs ${i}\n`)
  await writeFile(file, gone.join(''))
  await Promise.all([
    ...gone.map(line => rewriteOwn(file, without(line))),
    ...ours.map(line => appendToOwn(file, Buffer.from(line))),
    // As ssh does it: opened, written and closed in one go.
    ...theirs.map(async (line, i) => {
      for (let turn = 0; turn < i; turn++) await new Promise(setImmediate)
      appendFileSync(file, line)
    }),
  ])
  const lines = new Set((await content()).split('\n').map(line => `${line}\n`))
  expect(gone.filter(line => lines.has(line))).toEqual([])
  expect([...ours, ...theirs].filter(line => !lines.has(line))).toEqual([])
  expect(await readdir(home)).toEqual(['known_hosts'])
}, 120_000)

describe('the lock', () => {
  test('of a process that is gone, or of long ago, is taken away', async () => {
    await writeFile(file, 'a\n')
    // The largest number a process can have on Linux is 2^22.
    await writeFile(lock, `4194305 ${hostname()}\n`)
    expect(await rewriteOwn(file, without('a\n'))).toBe(true)
    await writeFile(file, 'a\n')
    await writeFile(lock, `1 another-machine\n`)
    const long = new Date(Date.now() - 60_000)
    await utimes(lock, long, long)
    expect(await rewriteOwn(file, without('a\n'))).toBe(true)
    expect(await readdir(home)).toEqual(['known_hosts'])
  })

  test('keeps others waiting, and is given back whatever happens', async () => {
    const order: string[] = []
    const first = whileLocked(file, async () => {
      order.push('first begins')
      await new Promise(resolve => setTimeout(resolve, 50))
      order.push('first ends')
      throw new Error('on purpose')
    })
    const second = whileLocked(file, async () => order.push('second'))
    await expect(first).rejects.toThrow('on purpose')
    await second
    expect(order).toEqual(['first begins', 'first ends', 'second'])
    expect(await readdir(home)).toEqual([])
  })
})

test.each([
  ['', 'a\n', 'a\n'],
  ['a\n', 'a\nb\n', 'b\n'],
  ['a\n', 'a\n', ''],
  ['a', 'a\nb\n', 'b\n'],
  ['a\nb\n', 'b\nc', 'c\n'],
  ['a\nb\n', '', ''],
])('the lines added to %j to make %j', (before, now, added) => {
  expect(linesAdded(Buffer.from(before), Buffer.from(now)).toString()).toBe(added)
})

test.each([
  ['', [], ''],
  ['a', [], 'a'],
  ['', ['b'], 'b\n'],
  ['a', ['b'], 'a\nb\n'],
  ['a\n', ['b', 'c'], 'a\nb\nc\n'],
])('%j with lines behind it', (before, lines, after) => {
  expect(withLines(Buffer.from(before), lines).toString()).toBe(after)
})
