import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstat, mkdir, readdir, readFile, readlink, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findAgent, pidFileBeside, readPidFile, runAgent, writePidFile } from '../src/index.js'
import { giveAway, later, leaveStaleSocket, makeTemporary } from './support.js'

const refused = (path: string) => ({ code: 'refused', message: expect.stringContaining(path) })
const FACTS = { pid: process.pid, socket: '/s', since: new Date().toISOString(), start: undefined }

test.each([
  ['agent.sock', 'agent.pid'],
  ['nginx.sock', 'nginx.sock.keytool.pid'],
  ['agent', 'agent.keytool.pid'],
])('beside %s stands %s', (socket, pidFile) => {
  expect(pidFileBeside(join('/run', socket))).toBe(join('/run', pidFile))
})

test('a link in its place is refused, and nothing is changed', async () => {
  const folder = await makeTemporary()
  const socket = join(folder, 's')
  await leaveStaleSocket(socket)
  await writeFile(join(folder, 'precious'), 'precious')
  await symlink('precious', pidFileBeside(socket))
  await expect(runAgent({ socket })).rejects.toMatchObject(refused(pidFileBeside(socket)))
  expect(await readFile(join(folder, 'precious'), 'utf8')).toBe('precious')
  expect(await readlink(pidFileBeside(socket))).toBe('precious')
  expect((await readdir(folder)).sort()).toEqual(['precious', 's', 's.keytool.pid'])
})

test('a link is refused even where it leads to a pid file of ours, or nowhere', async () => {
  const folder = await makeTemporary()
  await writePidFile(join(folder, 'ours'), FACTS)
  await symlink('ours', join(folder, 'link'))
  await symlink('nowhere', join(folder, 'dangling'))
  for (const name of ['link', 'dangling']) {
    await expect(writePidFile(join(folder, name), FACTS)).rejects.toMatchObject(refused(join(folder, name)))
  }
  expect((await readdir(folder)).sort()).toEqual(['dangling', 'link', 'ours'])
})

test.each(['1234\n', '', '{"version":1}'])('a file that says %j is not ours: it stays as it is', async content => {
  const folder = await makeTemporary()
  const pidFile = join(folder, 'nginx.pid')
  await writeFile(pidFile, content)
  await expect(runAgent({ socket: join(folder, 's'), pidFile })).rejects.toMatchObject(refused(pidFile))
  expect(await readFile(pidFile, 'utf8')).toBe(content)
  expect(await readdir(folder)).toEqual(['nginx.pid'])
})

test("a folder, or another user's pid file, is refused", async () => {
  const folder = await makeTemporary()
  const [one, two] = [join(folder, 'one'), join(folder, 'two')]
  await mkdir(one)
  await expect(writePidFile(one, FACTS)).rejects.toMatchObject(refused(one))
  await writePidFile(two, FACTS)
  await giveAway(two)
  await expect(writePidFile(two, { ...FACTS, pid: 1 })).rejects.toMatchObject(refused(two))
  expect(JSON.parse(await readFile(two, 'utf8'))).toMatchObject({ pid: process.pid })
})

test('one of ours that a dead agent left is replaced, by a new file', async () => {
  const folder = await makeTemporary()
  const path = join(folder, 'agent.pid')
  await writePidFile(path, { ...FACTS, pid: 2 ** 30 })
  await rename(path, join(folder, 'old'))
  await symlink('old', join(folder, 'other'))
  await writePidFile(join(folder, 'old'), FACTS)
  expect(await readPidFile(join(folder, 'old'))).toMatchObject({ pid: process.pid })
  expect((await lstat(join(folder, 'old'))).mode & 0o777).toBe(0o600)
})

test.each(['', 'yesterday', '2024', '2024-13-01T00:00:00Z', '2024-01-01', '\u001b[31m2024-01-01T00:00:00Z'])(
  'a file whose start is %j says nothing',
  async since => {
    const path = join(await makeTemporary(), 'agent.pid')
    await writeFile(path, JSON.stringify({ version: 1, pid: process.pid, socket: '/s', since }))
    expect(await readPidFile(path)).toBeUndefined()
  },
)

// Other systems have no /proc to see it in.
const onLinux = process.platform === 'linux'

test('a pid that another process has by now is not believed, where the system tells them apart', async () => {
  const socket = join(await makeTemporary(), 'agent.sock')
  const agent = await runAgent({ socket })
  later(() => agent.stop())
  const pidFile = pidFileBeside(socket)
  const facts = await readPidFile(pidFile)
  const innocent = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] })
  later(async () => {
    innocent.stdin.end()
    if (innocent.exitCode === null) await once(innocent, 'exit')
  })
  await once(innocent, 'spawn')
  const pid = innocent.pid ?? 0
  // What a killed agent left, whose number the system has given to somebody else; or a file of an older make.
  for (const start of [facts?.start, undefined]) {
    await writeFile(pidFile, JSON.stringify({ ...facts, pid, start }))
    expect((await findAgent(socket))?.pid).toBe(onLinux ? undefined : pid)
  }
  await writeFile(pidFile, JSON.stringify(facts))
  expect((await findAgent(socket))?.pid).toBe(process.pid)
})
