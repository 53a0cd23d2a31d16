import { execFileSync } from 'node:child_process'
import { chmod, lchown, lstat, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, readPlain, readWhole } from '../src/platform/read.js'
import { writeTogether, writeWhole } from '../src/platform/write.js'
import { makeTemporary } from './support.js'

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

  test('a link that another user put into a folder for everybody is not followed', async () => {
    const folder = await makeTemporary()
    const shared = join(folder, 'shared')
    await mkdir(shared)
    await chmod(shared, 0o1777)
    await writeFile(join(folder, 'mine'), 'precious')
    await symlink(join(folder, 'mine'), join(shared, 'link'))
    // Only root can give a link away; anybody else becomes another user, to whom link and folder are foreign.
    const { getuid } = process
    if (getuid?.() === 0) await lchown(join(shared, 'link'), 12345, 12345)
    else Object.assign(process, { getuid: () => 12345 })
    try {
      const replace = writeWhole(join(shared, 'link'), bytes('new'), { replace: true })
      // A folder's owner may put links where they like: as an ordinary user the test owns both.
      if (getuid?.() === 0) await expect(replace).rejects.toMatchObject({ code: 'refused' })
      else await replace
    } finally {
      Object.assign(process, { getuid })
    }
    expect(await readFile(join(folder, 'mine'), 'utf8')).toBe(getuid?.() === 0 ? 'precious' : 'new')
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

describe('reading', () => {
  test('gives the whole, up to the cap', async () => {
    const path = join(await makeTemporary(), 'file')
    const content = Buffer.alloc(200_000, 'abc')
    await writeFile(path, content)
    expect(await readWhole(path)).toEqual(content)
    await expect(readWhole(path, 1000)).rejects.toMatchObject({ code: 'damaged' })
  })

  test('a pipe that nobody writes to keeps nobody waiting where it was not named', async () => {
    const path = join(await makeTemporary(), 'pipe')
    execFileSync('mkfifo', [path])
    await expect(readPlain(path)).rejects.toMatchObject({ code: 'damaged' })
    await expect(readIfThere(path)).rejects.toMatchObject({ code: 'damaged' })
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
