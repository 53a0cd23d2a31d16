import { chmod, lstat, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, readWhole, writeWhole } from '../src/platform/files.js'
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
