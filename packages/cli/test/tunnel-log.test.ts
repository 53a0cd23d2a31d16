import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { openLog } from '../src/commands/tunnel/log-file.js'
import { Say } from '../src/say.js'

let folder: string
let stderr: PassThrough
let say: Say

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kt-'))
  stderr = new PassThrough()
  say = new Say({ name: 'keytool', home: '', stdout: new PassThrough(), stderr, env: {} })
})
afterEach(() => rm(folder, { recursive: true }))

const path = () => join(folder, 'a', 'tunnel.log')
const text = () => readFile(path(), 'utf8')
const said = () => String(stderr.read() ?? '')

test('lines are added to what is there, in a file that is the user’s alone', async () => {
  const write = await openLog(path(), say)
  expect((await stat(path())).mode & 0o777).toBe(0o600)
  write('one')
  write('two')
  const again = await openLog(path(), say)
  again('three')
  expect(await text()).toBe('one\ntwo\nthree\n')
  expect(said()).toBe('')
})

test('a file that is moved or removed is begun anew', async () => {
  const write = await openLog(path(), say)
  write('one')
  await rename(path(), `${path()}.old`)
  write('two')
  await rm(path())
  write('three')
  expect(await text()).toBe('three\n')
})

test('beyond 4 MiB it is kept once more, and begun anew', async () => {
  const write = await openLog(path(), say)
  for (let round = 0; round < 3; round++) {
    await truncate(path(), (4 << 20) - 3)
    write('fits not')
    expect(await text()).toBe('fits not\n')
    expect((await stat(`${path()}.1`)).size).toBe((4 << 20) - 3)
  }
  expect(await readdir(join(folder, 'a'))).toEqual(['tunnel.log', 'tunnel.log.1'])
})

test('- is standard error', async () => {
  const write = await openLog('-', say)
  write('one')
  expect(said()).toBe('one\n')
})

test.each<[string, (path: string) => Promise<unknown> | unknown]>([
  ['a link', path => symlink('/dev/null', path)],
  ['a link to nowhere', path => symlink('elsewhere', path)],
  ['a folder', path => mkdir(path)],
  // To open it for writing would wait for a reader.
  ['a pipe', path => execFileSync('mkfifo', [path])],
])('%s is refused', async (_what, put) => {
  await mkdir(join(folder, 'a'))
  await put(path())
  await expect(openLog(path(), say)).rejects.toMatchObject({ code: 'refused' })
  expect(await readdir(join(folder, 'a'))).toEqual(['tunnel.log'])
})

test('a device is refused', async () => {
  await expect(openLog('/dev/full', say)).rejects.toMatchObject({ code: 'refused' })
})

test('what can’t be written any more is said once, and written again when it can be', async () => {
  const write = await openLog(path(), say)
  await rm(path())
  await mkdir(path())
  write('lost')
  write('lost, too')
  expect(said()).toMatch(/^the log can't be written: .*\n$/)
  await rm(path(), { recursive: true })
  write('found')
  expect(await text()).toBe('found\n')
  await rm(path())
  await symlink('elsewhere', path())
  write('lost')
  expect(said()).toMatch(/^the log can't be written: /)
})
