import * as fs from 'node:fs'
import * as promises from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jest } from '@jest/globals'

// What others do to the file in the moment in which nobody can look: between our last look and the rename, between
// opening and writing.

let beforeRename: (() => void) | undefined
let afterOpen: (() => Promise<void>) | undefined

jest.unstable_mockModule('node:fs', () => ({
  ...fs,
  renameSync(from: string, to: string) {
    beforeRename?.()
    beforeRename = undefined
    fs.renameSync(from, to)
  },
}))
jest.unstable_mockModule('node:fs/promises', () => ({
  ...promises,
  async open(...args: Parameters<typeof promises.open>) {
    const handle = await promises.open(...args)
    const hook = afterOpen
    afterOpen = undefined
    await hook?.()
    return handle
  },
}))

const { rewriteOwn } = await import('../src/known-hosts/rewrite.js')
const { appendToOwn } = await import('../src/known-hosts/append.js')

let home: string
let file: string

beforeEach(async () => {
  home = await promises.mkdtemp(join(tmpdir(), 'kt-'))
  file = join(home, 'known_hosts')
})

afterEach(() => promises.rm(home, { recursive: true }))

test('a line that is appended just before the rename is carried over', async () => {
  await promises.writeFile(file, 'a\nb\n')
  beforeRename = () => fs.appendFileSync(file, 'late\n')
  expect(await rewriteOwn(file, () => Buffer.from('b\n'))).toBe(true)
  expect(beforeRename).toBeUndefined()
  expect(await promises.readFile(file, 'utf8')).toBe('b\nlate\n')
})

test('a line that goes into a file which has just been exchanged is added to the new one', async () => {
  await promises.writeFile(file, 'a\n')
  const exchange = (content: string) => async () => {
    await promises.writeFile(`${file}.new`, content)
    await promises.rename(`${file}.new`, file)
  }
  afterOpen = exchange('b\n')
  await appendToOwn(file, Buffer.from('ours\n'))
  expect(await promises.readFile(file, 'utf8')).toBe('b\nours\n')
  // Whoever exchanged it had seen the line: it is not added twice.
  afterOpen = exchange('b\nours\nmore\n')
  await appendToOwn(file, Buffer.from('more\n'))
  expect(await promises.readFile(file, 'utf8')).toBe('b\nours\nmore\n')
})
