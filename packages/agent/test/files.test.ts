import { execFileSync } from 'node:child_process'
import {
  chmod,
  chown,
  lchown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { holdFolder } from '../src/platform/folders.js'
import { followLinks } from '../src/platform/links.js'
import { readIfThere, readPlain, readToRewrite, readWhole } from '../src/platform/read.js'
import { writeTogether, writeWhole } from '../src/platform/write.js'
import { later, makeTemporary } from './support.js'

const bytes = (text: string) => Buffer.from(text)

describe('writing', () => {
  test.each([0, 0o022, 0o077])(
    'a new file has exactly its mode, its folders 0700, whatever the umask (%o)',
    async mask => {
      const folder = await makeTemporary()
      const before = process.umask(mask)
      try {
        await writeWhole(join(folder, 'a', 'b', 'secret'), bytes('x'))
        await writeWhole(join(folder, 'a', 'b', 'open'), bytes('y'), { mode: 0o644 })
      } finally {
        process.umask(before)
      }
      expect((await stat(join(folder, 'a', 'b', 'secret'))).mode & 0o777).toBe(0o600)
      expect((await stat(join(folder, 'a', 'b', 'open'))).mode & 0o777).toBe(0o644)
      expect((await stat(join(folder, 'a'))).mode & 0o777).toBe(0o700)
      expect(await readdir(join(folder, 'a', 'b'))).toEqual(['open', 'secret'])
    },
  )

  test('what is there stays, unless it may be replaced', async () => {
    const folder = await makeTemporary()
    const path = join(folder, 'file')
    await writeFile(path, 'old')
    await expect(writeWhole(path, bytes('new'))).rejects.toMatchObject({ code: 'exists' })
    expect(await readFile(path, 'utf8')).toBe('old')
    await writeWhole(path, bytes('new'), { replace: true })
    expect(await readFile(path, 'utf8')).toBe('new')
    expect(await readdir(folder)).toEqual(['file'])
  })

  test('a link stays a link: what it points to is replaced', async () => {
    const folder = await makeTemporary()
    await mkdir(join(folder, 'real'))
    await writeFile(join(folder, 'real', 'file'), 'old')
    await symlink(join('real', 'file'), join(folder, 'link'))
    await expect(writeWhole(join(folder, 'link'), bytes('new'))).rejects.toMatchObject({ code: 'exists' })
    await writeWhole(join(folder, 'link'), bytes('new'), { replace: true })
    expect(await readlink(join(folder, 'link'))).toBe(join('real', 'file'))
    expect(await readFile(join(folder, 'real', 'file'), 'utf8')).toBe('new')
    expect(await readdir(join(folder, 'real'))).toEqual(['file'])
  })

  test('a dangling link stays one: the file appears where it leads', async () => {
    const folder = await makeTemporary()
    await symlink('later', join(folder, 'link'))
    await writeWhole(join(folder, 'link'), bytes('new'), { replace: true })
    expect(await readlink(join(folder, 'link'))).toBe('later')
    expect(await readFile(join(folder, 'later'), 'utf8')).toBe('new')
  })

  test.each([0o1777, 0o755])('a link of another user to what is ours is not followed, in a folder %o', async mode => {
    const folder = await makeTemporary()
    const shared = join(folder, 'shared')
    await mkdir(shared)
    await chmod(shared, mode)
    await writeFile(join(folder, 'mine'), 'precious')
    await symlink(join(folder, 'mine'), join(shared, 'link'))
    const isRoot = process.getuid?.() === 0
    await giveLinkAway(join(shared, 'link'))
    const replace = writeWhole(join(shared, 'link'), bytes('new'), { replace: true })
    // Who is not root becomes another user for the test: link and file are then one foreign user's, who may.
    if (isRoot) await expect(replace).rejects.toMatchObject({ code: 'refused' })
    else await replace
    expect(await readFile(join(folder, 'mine'), 'utf8')).toBe(isRoot ? 'precious' : 'new')
  })

  test('a folder that is swapped for a link meanwhile: nothing is written where that leads', async () => {
    const folder = await makeTemporary()
    const [named, moved, aim] = ['named', 'moved', 'aim'].map(name => join(folder, name)) as [string, string, string]
    for (const each of [named, aim]) {
      await mkdir(each)
      await writeFile(join(each, 'key'), 'precious')
    }
    const check = async () => {
      // With the temporary file's name there, a rename by name would find all it needs.
      const temporary = (await readdir(named)).find(name => name.endsWith('.tmp')) ?? ''
      await writeFile(join(aim, temporary), 'planted')
      await rename(named, moved)
      await symlink('aim', named)
    }
    await writeWhole(join(named, 'key'), bytes('new'), { replace: true, check }).catch(() => undefined)
    expect(await readFile(join(aim, 'key'), 'utf8')).toBe('precious')
  })

  test('a file that is not the one that was read any more is left alone, and so is what belongs to it', async () => {
    const folder = await makeTemporary()
    const [key, pub] = ['key', 'key.pub'].map(name => join(folder, name)) as [string, string]
    for (const swapped of [key, pub]) {
      for (const each of [key, pub]) await writeFile(each, 'old')
      const originals = await Promise.all([key, pub].map(path => readToRewrite(path)))
      const check = async () => {
        await writeFile(`${swapped}~`, 'another')
        await rename(`${swapped}~`, swapped)
      }
      const files = [key, pub].map((path, i) => {
        const { identity } = originals[i] as (typeof originals)[0]
        return { path, bytes: bytes('new'), replace: true, expects: identity, ...(i === 0 && { check }) }
      })
      await expect(writeTogether(files)).rejects.toMatchObject({
        code: 'failed',
        message: `${swapped} was changed by somebody else meanwhile`,
        reason: 'nothing was changed',
      })
      expect(await readFile(swapped, 'utf8')).toBe('another')
      expect(await readFile(swapped === key ? pub : key, 'utf8')).toBe('old')
      expect(await readdir(folder)).toEqual(['key', 'key.pub'])
    }
  })

  test('a temporary file that is swapped before it takes its name does not take it', async () => {
    const folder = await makeTemporary()
    await writeFile(join(folder, 'key'), 'old')
    const check = async (written: Buffer) => {
      expect(written.toString()).toBe('new')
      const [temporary = ''] = await readdir(folder)
      await rm(join(folder, temporary))
      await symlink('key', join(folder, temporary))
    }
    const writing = writeWhole(join(folder, 'key'), bytes('new'), { replace: true, check })
    await expect(writing).rejects.toMatchObject({ code: 'failed' })
    expect(await readFile(join(folder, 'key'), 'utf8')).toBe('old')
    expect(await readdir(folder)).toEqual(['key'])
  })

  test('of several that belong together none is written when one can not be', async () => {
    const folder = await makeTemporary()
    await writeFile(join(folder, 'key'), 'old')
    await mkdir(join(folder, 'key.pub'))
    const both = ['key', 'key.pub'].map(name => ({ path: join(folder, name), bytes: bytes('new'), replace: true }))
    await expect(writeTogether(both)).rejects.toMatchObject({ code: 'failed' })
    expect(await readFile(join(folder, 'key'), 'utf8')).toBe('old')
    expect((await readdir(folder)).sort()).toEqual(['key', 'key.pub'])
  })

  test('many together: each with its mode, in folders that are made, nothing else left there', async () => {
    const folder = await makeTemporary()
    await mkdir(join(folder, 'real'))
    await symlink('real', join(folder, 'link'))
    const names = Array.from({ length: 150 }, (_, i) => join(i % 2 ? 'link' : join('new', 'deep'), `key-${i}`))
    await writeTogether(
      names.map((name, i) => ({ path: join(folder, name), bytes: bytes(name), mode: i % 3 ? 0o600 : 0o644 })),
    )
    for (const [i, name] of names.entries()) {
      expect(await readFile(join(folder, name), 'utf8')).toBe(name)
      expect((await stat(join(folder, name))).mode & 0o777).toBe(i % 3 ? 0o600 : 0o644)
    }
    expect((await readdir(folder)).sort()).toEqual(['link', 'new', 'real'])
    expect(await readdir(join(folder, 'real'))).toHaveLength(75)
    expect(await readdir(join(folder, 'new', 'deep'))).toHaveLength(75)
  })

  test.each([0, 70, 149])('of many new ones none is left when one is in the way (%i)', async at => {
    const folder = await makeTemporary()
    await writeFile(join(folder, `key-${at}`), 'old')
    const files = Array.from({ length: 150 }, (_, i) => ({ path: join(folder, `key-${i}`), bytes: bytes('new') }))
    await expect(writeTogether(files)).rejects.toMatchObject({
      code: 'exists',
      message: expect.stringContaining(`key-${at} `),
    })
    expect(await readdir(folder)).toEqual([`key-${at}`])
    expect(await readFile(join(folder, `key-${at}`), 'utf8')).toBe('old')
  })

  test('what turns out to be in the way only when names are given takes all of them back', async () => {
    const folder = await makeTemporary()
    const files = ['one', 'two', 'one'].map(name => ({ path: join(folder, name), bytes: bytes('new') }))
    await expect(writeTogether(files)).rejects.toMatchObject({ code: 'exists' })
    expect(await readdir(folder)).toEqual([])
  })

  test('what the check of one file throws leaves every file as it was', async () => {
    const folder = await makeTemporary()
    await writeFile(join(folder, 'key'), 'old')
    const seen: string[] = []
    const check = async (written: Buffer) => {
      seen.push(written.toString('utf8'))
      throw new Error('not the same')
    }
    await expect(
      writeTogether([
        { path: join(folder, 'key'), bytes: bytes('new'), replace: true },
        { path: join(folder, 'key.pub'), bytes: bytes('public'), replace: true, check },
      ]),
    ).rejects.toMatchObject({ name: 'KeytoolError' })
    expect(seen).toEqual(['public'])
    expect(await readdir(folder)).toEqual(['key'])
    expect(await readFile(join(folder, 'key'), 'utf8')).toBe('old')
  })

  test('a folder that can not be made is said, and tried once (proc takes no new names)', async () => {
    await expect(writeWhole('/proc/none/below/file', bytes('x'))).rejects.toMatchObject({ code: 'failed' })
  })

  test('of many writers of one new file, one succeeds', async () => {
    const folder = await makeTemporary()
    const path = join(folder, 'file')
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) => writeWhole(path, bytes(`writer ${i}`))),
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await readFile(path, 'utf8')).toMatch(/^writer \d$/)
    expect(await readdir(folder)).toEqual(['file'])
  })

  test('a folder that is a file, a target that is a folder: a clear error, nothing left', async () => {
    const folder = await makeTemporary()
    await writeFile(join(folder, 'file'), 'x')
    await mkdir(join(folder, 'folder'))
    await expect(writeWhole(join(folder, 'file', 'below'), bytes('x'))).rejects.toMatchObject({ name: 'KeytoolError' })
    await expect(writeWhole(join(folder, 'folder'), bytes('x'))).rejects.toMatchObject({ code: 'exists' })
    await expect(writeWhole(join(folder, 'folder'), bytes('x'), { replace: true })).rejects.toMatchObject({
      code: 'failed',
    })
    expect((await readdir(folder)).sort()).toEqual(['file', 'folder'])
    expect((await lstat(join(folder, 'folder'))).isDirectory()).toBe(true)
  })
})

/** Makes a link another user's, or, where only root could, us another user. */
async function giveLinkAway(path: string): Promise<void> {
  const { getuid } = process
  if (getuid?.() === 0) return lchown(path, 12345, 12345)
  process.getuid = () => 12345
  later(() => Object.assign(process, { getuid }))
}

describe('links of another user', () => {
  // Below /proc lies a folder, and in it a file, that are root's wherever this runs.
  test.each([
    ['to a file that is not theirs', '/proc/version', ''],
    ['to a folder that is not theirs', '/proc', 'version'],
    ['to nothing', 'absent', ''],
    ['by way of a link of ours', 'ours', ''],
    ['by way of a folder of theirs', 'theirs/../ours', ''],
    ['to the root', '/', 'file'],
  ])('%s are refused', async (_, to, below) => {
    const folder = await makeTemporary()
    await symlink('/proc/version', join(folder, 'ours'))
    await mkdir(join(folder, 'theirs'))
    await symlink(to, join(folder, 'link'))
    await giveLinkAway(join(folder, 'link'))
    await expect(followLinks(join(folder, 'link', below))).rejects.toMatchObject({
      code: 'refused',
      // As another user than root, a link of ours on the way is another's, too.
      message: expect.stringMatching(/(link|ours) is a link that another user put there$/),
    })
  })

  test('to what is theirs are followed', async () => {
    const folder = await makeTemporary()
    await mkdir(join(folder, 'theirs'))
    await writeFile(join(folder, 'theirs', 'file'), '')
    await symlink('theirs', join(folder, 'way'))
    await symlink('way/file', join(folder, 'link'))
    const all = ['theirs', 'theirs/file', 'way', 'link']
    for (const name of all) await giveLinkAway(join(folder, name))
    expect(await followLinks(join(folder, 'link'))).toBe(join(folder, 'theirs', 'file'))
    expect(await followLinks(join(folder, 'way', 'new'))).toBe(join(folder, 'theirs', 'new'))
  })
})

test('in the folder of another user root follows no link of its own to what is not theirs', async () => {
  const folder = await makeTemporary()
  await mkdir(join(folder, 'theirs'))
  await symlink('/proc/version', join(folder, 'theirs', 'link'))
  if (process.getuid?.() === 0) await chown(join(folder, 'theirs'), 12345, 12345)
  const follow = followLinks(join(folder, 'theirs', 'link'))
  if (process.getuid?.() === 0) await expect(follow).rejects.toMatchObject({ code: 'refused' })
  else expect(await follow).toBe('/proc/version')
})

test('a pipe or a device is not renamed over', async () => {
  const folder = await makeTemporary()
  const path = join(folder, 'pipe')
  execFileSync('mkfifo', [path])
  await expect(writeWhole(path, bytes('new'), { replace: true })).rejects.toMatchObject({ code: 'failed' })
  expect((await lstat(path)).isFIFO()).toBe(true)
  expect(await readdir(folder)).toEqual(['pipe'])
})

test('what .. means after a link is what it means to the system', async () => {
  const folder = await makeTemporary()
  await mkdir(join(folder, 'deep', 'real'), { recursive: true })
  await symlink('deep/real', join(folder, 'link'))
  await writeWhole(`${folder}/link/../key`, bytes('new'))
  expect(await readFile(join(folder, 'deep', 'key'), 'utf8')).toBe('new')
  expect(await readdir(folder)).toEqual(['deep', 'link'])
})

describe.each(['linux', 'darwin'])('a folder that is held, as on %s', platform => {
  test('is the one that was found', async () => {
    const folder = await makeTemporary()
    await mkdir(join(folder, 'a', 'b'), { recursive: true })
    const held = await holdFolder(join(folder, 'a', 'b'), platform)
    await writeFile(held?.at('file') ?? '', 'x')
    expect(await readFile(join(folder, 'a', 'b', 'file'), 'utf8')).toBe('x')
    await rename(join(folder, 'a'), join(folder, 'moved'))
    await mkdir(join(folder, 'a', 'b'), { recursive: true })
    // Either the handle still leads there, or the change is seen.
    const leads = await readFile(held?.at('file') ?? '', 'utf8').catch(() => undefined)
    expect([held?.isSame(), leads]).toEqual(platform === 'linux' ? [true, 'x'] : [false, undefined])
    held?.release()
  })

  test('is none where a link is in its name by now', async () => {
    const folder = await makeTemporary()
    await mkdir(join(folder, 'real', 'b'), { recursive: true })
    await symlink('real', join(folder, 'a'))
    expect(await holdFolder(join(folder, 'a'), platform)).toBeUndefined()
    expect(await holdFolder(join(folder, 'a', 'b'), platform)).toBeUndefined()
  })
})

describe('a signal while a file is being written', () => {
  const listeners = () => ['SIGINT', 'SIGTERM', 'SIGHUP', 'exit'].map(name => process.listenerCount(name))
  /** Listening ends a moment after the last file (100 ms), and then in its turn. */
  const settle = async () => {
    await sleep(120)
    await setImmediate()
  }

  beforeEach(settle)

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s: what was begun goes, then it ends the process as it would have',
    async signal => {
      const folder = await makeTemporary()
      const before = listeners()
      const { kill } = process
      const sent: unknown[] = []
      process.kill = (pid, name) => {
        sent.push([pid, name, process.listenerCount(signal)])
        return true
      }
      later(() => Object.assign(process, { kill }))
      const check = async () => {
        expect(await readdir(folder)).toHaveLength(1)
        process.emit(signal, signal)
        expect(await readdir(folder)).toEqual([])
      }
      await writeWhole(join(folder, 'key'), bytes('new'), { check }).catch(() => undefined)
      expect(sent).toEqual([[process.pid, signal, 0]])
      await settle()
      expect(listeners()).toEqual(before)
    },
  )

  test('that a host program listens to is left to it, even when it listens once', async () => {
    const folder = await makeTemporary()
    const before = listeners()
    const { kill } = process
    const calls: string[] = []
    process.kill = () => {
      calls.push('kill')
      return true
    }
    later(() => Object.assign(process, { kill }))
    process.once('SIGTERM', () => calls.push('host'))
    const check = async () => void process.emit('SIGTERM', 'SIGTERM')
    await writeWhole(join(folder, 'key'), bytes('new'), { check }).catch(() => undefined)
    expect(calls).toEqual(['host'])
    // It goes on, and so does the writing.
    expect(await readdir(folder)).toEqual(['key'])
    await settle()
    expect(listeners()).toEqual(before)
  })

  test('nothing is listened to before and after', async () => {
    const folder = await makeTemporary()
    const before = listeners()
    const check = async () => expect(listeners()).toEqual(before.map(count => count + 1))
    await writeWhole(join(folder, 'key'), bytes('new'), { check })
    await writeWhole(join(folder, 'key'), bytes('new')).catch(() => undefined)
    await settle()
    expect(listeners()).toEqual(before)
  })
})

describe('reading', () => {
  test('gives the whole, up to the cap', async () => {
    const path = join(await makeTemporary(), 'file')
    const content = Buffer.alloc(200_000, 'abc')
    await writeFile(path, content)
    expect((await readWhole(path)).equals(content)).toBe(true)
    await expect(readWhole(path, 1000)).rejects.toMatchObject({ code: 'damaged' })
  })

  test('a pipe that nobody writes to keeps nobody waiting where it was not named', async () => {
    const path = join(await makeTemporary(), 'pipe')
    execFileSync('mkfifo', [path])
    await expect(readPlain(path)).rejects.toMatchObject({ code: 'damaged' })
    await expect(readIfThere(path)).rejects.toMatchObject({ code: 'damaged' })
    await expect(readToRewrite(path)).rejects.toMatchObject({ code: 'damaged', message: `${path} is no plain file` })
  })

  test('what is to be replaced is a plain file, and says which', async () => {
    const path = join(await makeTemporary(), 'file')
    await writeFile(path, 'text', { mode: 0o640 })
    const { dev, ino, mode, ctimeMs } = await stat(path, { bigint: true })
    const facts = { mode: Number(mode) & 0o777, identity: { dev, ino }, changed: Number(ctimeMs) }
    const original = { bytes: bytes('text'), ...facts }
    expect(await readToRewrite(path)).toEqual(original)
    await expect(readToRewrite('/dev/null')).rejects.toMatchObject({ code: 'damaged' })
  })

  test('says what is wrong', async () => {
    const folder = await makeTemporary()
    await expect(readWhole(join(folder, 'none'))).rejects.toMatchObject({ code: 'not-found' })
    expect(await readIfThere(join(folder, 'none'))).toBeUndefined()
    await expect(readWhole(folder)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('is a folder'),
    })
    await chmod(folder, 0o700)
    await writeFile(join(folder, 'file'), '')
    await expect(readWhole(join(folder, 'file', 'below'))).rejects.toMatchObject({ code: 'failed' })
  })
})
