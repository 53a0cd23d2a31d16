import { once } from 'node:events'
import { chmod, link, lstat, mkdir, mkdtemp, readdir, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { createServer, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { listenOnUnixSocket } from '../src/forwards/listen-unix.js'
import { echoAtEnd, fakeServer, OpenForwards, pair, until, visit } from './forwards-fake.js'
import { withoutRights } from './without-rights.js'

const forwards = new OpenForwards()
let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kt-unix-'))
  path = join(folder, 'a.sock')
})

afterEach(async () => {
  await forwards.close()
  await rm(folder, { recursive: true })
})

/** A socket whose listener went without removing it, as a killed program's. */
async function leaveDead(): Promise<void> {
  const server = createServer().listen(join(folder, 'other'))
  await once(server, 'listening')

  await link(join(folder, 'other'), path)
  await new Promise(resolve => server.close(resolve))
}

test('is open to this user alone, carries both ways, and is gone afterwards', async () => {
  const server = fakeServer(echoAtEnd)
  const forward = await forwards.open('local', `${path}:target:1`, server)
  expect(forward).toMatchObject({ place: path, port: undefined })
  const stats = await lstat(path)
  expect(stats.isSocket()).toBe(true)
  expect(stats.mode & 0o777).toBe(0o600)
  expect(await readdir(folder)).toEqual(['a.sock'])
  const socket = visit(forward)
  socket.end('abc')
  expect(String(await buffer(socket))).toBe('[abc]')
  // What OpenSSH says of one that has no address.
  expect(server.asked.direct).toEqual([['target', 1, { host: '127.0.0.1', port: 65535 }]])
  await until(() => forward.counters.open === 0)
  await forward.close()
  expect(await readdir(folder)).toEqual([])
})

test('speaks SOCKS as well', async () => {
  const forward = await forwards.open('dynamic', path, fakeServer(echoAtEnd))
  const socket = visit(forward)
  socket.end(Buffer.from('\x04\x01\x00\x50\x00\x00\x00\x01\x00host\x00abc', 'latin1'))
  expect((await buffer(socket)).subarray(8).toString()).toBe('[abc]')
})

test('replaces a dead socket of this user', async () => {
  await leaveDead()
  const forward = await forwards.open('local', `${path}:target:1`, fakeServer(echoAtEnd))
  visit(forward).end()
  await until(() => forward.counters.connections === 1)
})

test('replaces no socket that somebody listens on', async () => {
  const other = createServer().listen(path)
  await once(other, 'listening')
  await expect(forwards.open('local', `${path}:target:1`, fakeServer())).rejects.toMatchObject({
    code: 'failed',
    message: `${path} is in use`,
    reason: 'another program listens there',
  })
  expect(await readdir(folder)).toEqual(['a.sock'])
  other.close()
})

test.each([
  ['a file', () => writeFile(path, 'precious')],
  ['an empty file', () => writeFile(path, '')],
  ['a link to nowhere', () => symlink(join(folder, 'nowhere'), path)],
])('replaces no %s', async (_what, make) => {
  await make()
  const before = await lstat(path)
  await expect(forwards.open('local', `${path}:target:1`, fakeServer())).rejects.toMatchObject({
    code: 'exists',
    message: `${path} is there already, and is no socket`,
  })
  expect((await lstat(path)).ino).toBe(before.ino)
  expect(await readdir(folder)).toEqual(['a.sock'])
})

test('removes nothing that took its place meanwhile', async () => {
  const forward = await forwards.open('local', `${path}:target:1`, fakeServer())
  await unlink(path)
  const other = createServer().listen(path)
  await once(other, 'listening')
  await forward.close()
  expect(await readdir(folder)).toEqual(['a.sock'])
  other.close()
})

test('one that can not be removed is told of, and closed all the same', async () => {
  const told: string[] = []
  const onLeftover = ({ message }: Error) => told.push(message)
  const forward = await forwards.open('local', `${path}:target:1`, fakeServer(), { onLeftover })
  await chmod(folder, 0o555)
  await withoutRights(() => forward.close())
  await chmod(folder, 0o700)
  expect(told).toEqual([`${path} can't be removed: EACCES`])
  // It is a dead one, which is in nobody's way.
  const again = await forwards.open('local', `${path}:target:1`, fakeServer())
  await again.close()
  expect(await readdir(folder)).toEqual([])
})

test.each([
  ['/nonexistent/x', 'its folder is not there'],
  ['/etc/passwd/x', 'its folder is no folder'],
])('%s: %s', async (place, reason) => {
  await expect(forwards.open('local', `${place}:target:1`, fakeServer())).rejects.toMatchObject({
    code: 'failed',
    reason,
  })
})

test('a folder whose path leaves no room', async () => {
  const deep = join(folder, 'd'.repeat(103 - Buffer.byteLength(folder)), 'x')

  await mkdir(join(deep, '..'))
  await expect(forwards.open('local', `${deep}:target:1`, fakeServer())).rejects.toMatchObject({
    code: 'failed',
    reason: 'its folder has too long a path for a socket',
  })
  expect(await readdir(join(deep, '..'))).toEqual([])
})

test('Windows has none', async () => {
  await expect(listenOnUnixSocket(new Server(), path, 'win32')).rejects.toMatchObject({ code: 'unsupported' })
})

test('a cut channel closes it, without what was not sent yet', async () => {
  const [near, far] = pair()
  const forward = await forwards.open(
    'local',
    `${path}:target:1`,
    fakeServer(() => near),
  )
  const socket = visit(forward)
  await until(() => forward.counters.open === 1)
  far.destroy()
  // A Unix socket has no RST: an end is all that its other side can be told.
  await once(socket.resume(), 'end')
  await until(() => forward.counters.open === 0)
})
