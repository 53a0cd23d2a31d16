import { chmod, lstat, mkdir, readdir, readFile, rename, symlink, unlink, writeFile } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { type Listener, type ListenOptions, listen } from '../src/index.js'
import { startLockOf } from '../src/platform/start-lock.js'
import { frame, giveAway, later, leaveStaleSocket, listenAt, makeTemporary, RawClient } from './support.js'

const OURS = frame(6, Buffer.from('ours'))

function sayOurs(socket: Socket): void {
  // Whoever only looks whether somebody is there does not wait for the answer.
  socket.on('error', () => undefined)
  socket.end(OURS)
}

/** Listens, and closes after the test. */
async function open(path: string, options: ListenOptions = {}): Promise<{ listener: Listener; server: Server }> {
  const server = createServer(sayOurs)
  const listener = await listen(server, path, options)
  later(() => listener.close())
  return { listener, server }
}

async function expectServed(path: string): Promise<void> {
  const client = await RawClient.connect(path)
  await client.untilClosed()
  expect(await client.reply()).toEqual(OURS.subarray(4))
}

async function modeOf(path: string): Promise<string> {
  return ((await lstat(path)).mode & 0o777).toString(8)
}

const refused = (text: RegExp) => ({ code: 'refused', reason: expect.stringMatching(text) })

test('the folder is made 0700, the socket is 0600, and nothing is left after closing', async () => {
  const folder = join(await makeTemporary(), 'a', 'b')
  const path = join(folder, 'agent.sock')
  const { listener } = await open(path)
  expect([await modeOf(folder), await modeOf(dirname(folder)), await modeOf(path)]).toEqual(['700', '700', '600'])
  expect(await readdir(folder)).toEqual(['agent.sock'])
  await expectServed(path)
  await listener.close()
  expect(await readdir(folder)).toEqual([])
})

test.each([0, 0o022, 0o077])('the modes do not depend on the umask (%o)', async mask => {
  const before = process.umask(mask)
  later(() => process.umask(before))
  const path = join(await makeTemporary(), 'new', 'agent.sock')
  await open(path)
  expect([await modeOf(dirname(path)), await modeOf(path)]).toEqual(['700', '600'])
  expect(process.umask()).toBe(mask)
})

test.each([0o755, 0o710, 0o701, 0o770, 0o1777])('a folder of mode %o is refused and left as it is', async mode => {
  const folder = await makeTemporary()
  await chmod(folder, mode)
  await expect(open(join(folder, 's'))).rejects.toMatchObject({
    ...refused(/others can get in/),
    hint: `chmod 700 ${folder}`,
  })
  expect(await modeOf(folder)).toBe((mode & 0o777).toString(8))
  expect(await readdir(folder)).toEqual([])
})

test.each([0o755, 0o701, 0o1777])('a place the user named may lie in a folder of mode %o', async mode => {
  const folder = await makeTemporary()
  await chmod(folder, mode)
  const path = join(folder, 's')
  const { listener } = await open(path, { named: true })
  expect(await modeOf(path)).toBe('600')
  await expectServed(path)
  await listener.close()
  expect(await readdir(folder)).toEqual([])
})

test.each([0o777, 0o720, 0o702])('but not where others can change what is in it (%o)', async mode => {
  const folder = await makeTemporary()
  await chmod(folder, mode)
  await expect(open(join(folder, 's'), { named: true })).rejects.toMatchObject(refused(/others can get in/))
  expect(await readdir(folder)).toEqual([])
})

test('a folder that is a link is refused, wherever it leads', async () => {
  const folder = await makeTemporary()
  await mkdir(join(folder, 'real'), { mode: 0o700 })
  await symlink('real', join(folder, 'link'))
  await expect(open(join(folder, 'link', 's'))).rejects.toMatchObject(refused(/a link/))
  expect(await readdir(join(folder, 'real'))).toEqual([])
})

test('a file where the folder should be is refused', async () => {
  const folder = await makeTemporary()
  await writeFile(join(folder, 'file'), '')
  await expect(open(join(folder, 'file', 's'))).rejects.toMatchObject(refused(/not a folder/))
})

test('a folder or a stale socket of another user is refused', async () => {
  const folder = await makeTemporary()
  const theirs = join(folder, 'theirs')
  await mkdir(theirs, { mode: 0o700 })
  const path = join(folder, 's')
  await leaveStaleSocket(path)
  await giveAway(theirs)
  await giveAway(path)
  await expect(open(join(theirs, 's'))).rejects.toMatchObject(refused(/another user/))
  await expect(open(path)).rejects.toMatchObject(refused(/another user/))
  expect((await lstat(path)).isSocket()).toBe(true)
})

test('a file, a folder or a link where the socket goes is refused and left alone', async () => {
  const folder = await makeTemporary()
  await writeFile(join(folder, 'file'), 'precious')
  await mkdir(join(folder, 'folder'))
  await symlink('file', join(folder, 'link'))
  await symlink('nowhere', join(folder, 'dangling'))
  await expect(open(join(folder, 'file'))).rejects.toMatchObject(refused(/not a socket/))
  await expect(open(join(folder, 'folder'))).rejects.toMatchObject(refused(/not a socket/))
  await expect(open(join(folder, 'link'))).rejects.toMatchObject(refused(/a link/))
  await expect(open(join(folder, 'dangling'))).rejects.toMatchObject(refused(/a link/))
  expect(await readFile(join(folder, 'file'), 'utf8')).toBe('precious')
  expect((await readdir(folder)).sort()).toEqual(['dangling', 'file', 'folder', 'link'])
})

test('a stale socket is replaced, a live one is not', async () => {
  const folder = await makeTemporary()
  const path = join(folder, 's')
  await leaveStaleSocket(path)
  await open(path)
  await expectServed(path)
  await expect(open(path)).rejects.toMatchObject({ code: 'exists', message: expect.stringContaining(path) })
  await expectServed(path)
  expect(await readdir(folder)).toEqual(['s'])
})

test('a live listener of another program is not replaced either', async () => {
  const path = join(await makeTemporary(), 's')
  const other = createServer(sayOurs)
  await listenAt(other, path)
  later(() => new Promise(resolve => other.close(resolve)))
  await expect(open(path)).rejects.toMatchObject({ code: 'exists' })
  await expectServed(path)
})

test('a start lock whose holder died is taken over', async () => {
  const folder = await makeTemporary()
  const lock = startLockOf(join(folder, 's'))
  await mkdir(lock, { mode: 0o700 })
  await leaveStaleSocket(join(lock, '0badcafe'))
  await open(join(folder, 's'))
  await expectServed(join(folder, 's'))
  expect(await readdir(folder)).toEqual(['s'])
})

test('a start lock whose holder lives is waited for, not broken', async () => {
  const folder = await makeTemporary()
  const lock = startLockOf(join(folder, 's'))
  await mkdir(lock, { mode: 0o700 })
  const holder = createServer()
  await listenAt(holder, join(lock, '0badcafe'))
  await expect(open(join(folder, 's'), { patience: 60 })).rejects.toMatchObject({ code: 'failed' })
  expect(await readdir(folder)).toEqual([basename(lock)])
  const waiting = open(join(folder, 's'))
  await new Promise(resolve => holder.close(resolve))
  await waiting
  await expectServed(join(folder, 's'))
})

test('what is no socket of a start is never removed from its lock', async () => {
  const folder = await makeTemporary()
  const lock = startLockOf(join(folder, 's'))
  await mkdir(lock, { mode: 0o700 })
  await writeFile(join(lock, '0badcafe'), 'precious')
  await leaveStaleSocket(join(lock, 'other'))
  await expect(open(join(folder, 's'), { patience: 60 })).rejects.toMatchObject({ code: 'failed' })
  expect((await readdir(lock)).sort()).toEqual(['0badcafe', 'other'])
  expect(await readdir(folder)).toEqual([basename(lock)])
})

test("another user's folder in the place of the lock is refused, not waited for, and left alone", async () => {
  const folder = await makeTemporary()
  const lock = startLockOf(join(folder, 's'))
  await mkdir(lock, { mode: 0o755 })
  await leaveStaleSocket(join(lock, '0badcafe'))
  await giveAway(lock)
  await expect(open(join(folder, 's'))).rejects.toMatchObject(refused(/another user/))
  expect(await readdir(lock)).toEqual(['0badcafe'])
})

test('a link in the place of the lock is refused, and nothing is removed where it leads', async () => {
  const folder = await makeTemporary()
  const lock = startLockOf(join(folder, 's'))
  await mkdir(join(folder, 'data'))
  await leaveStaleSocket(join(folder, 'data', '0badcafe'))
  await symlink('data', lock)
  await expect(open(join(folder, 's'))).rejects.toMatchObject(refused(/a link/))
  expect(await readdir(join(folder, 'data'))).toEqual(['0badcafe'])
  expect((await readdir(folder)).sort()).toEqual([basename(lock), 'data'].sort())
})

test('the lock is named for the user and the socket, and no longer for long names', () => {
  const locks = ['s', 't', 'x'.repeat(80)].map(name => startLockOf(join('/run', name)))
  expect(new Set(locks).size).toBe(3)
  for (const lock of locks) expect(lock).toMatch(/^\/run\/\.keytool-[0-9a-f]{8}$/)
})

test('it is announced before anybody can connect, and a failed announcement leaves nothing', async () => {
  const folder = await makeTemporary()
  const path = join(folder, 's')
  const announce = async () => {
    expect(await readdir(folder)).not.toContain('s')
    throw new Error('no')
  }
  await expect(open(path, { announce })).rejects.toMatchObject({ code: 'failed' })
  expect(await readdir(folder)).toEqual([])
  await open(path)
})

test('closing leaves a socket alone that took the place meanwhile', async () => {
  const folder = await makeTemporary()
  const path = join(folder, 's')
  const { listener } = await open(path)
  await unlink(path)
  const other = createServer(sayOurs)
  await listenAt(other, join(folder, 'other'))
  await rename(join(folder, 'other'), path)
  later(() => new Promise(resolve => other.close(resolve)))
  await listener.close()
  await expectServed(path)
})

test('a path too long for a socket is said, not cut', async () => {
  const folder = await makeTemporary()
  await expect(open(join(folder, 'x'.repeat(120)))).rejects.toMatchObject({
    code: 'failed',
    message: expect.stringContaining('too long'),
  })
  expect(await readdir(folder)).toEqual([])
})

test('the pipe variant listens under its name, announces, and refuses to share it', async () => {
  // Any path will do: to node a pipe is a listener under another name.
  const path = join(await makeTemporary(), 'pipe')
  const [first, second] = [createServer(sayOurs), createServer()]
  let announced = 0
  const listener = await listen(first, path, { announce: async () => void announced++ }, 'win32')
  await expectServed(path)
  await expect(listen(second, path, {}, 'win32')).rejects.toMatchObject({ code: 'exists' })
  expect(announced).toBe(1)
  await listener.close()
  await expect(RawClient.connect(path)).rejects.toMatchObject({ code: 'ENOENT' })
})
