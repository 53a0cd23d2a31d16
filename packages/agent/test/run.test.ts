import { lstat, readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { generate } from '@keytool/keygen'
import {
  connectAgent,
  createRing,
  encodeMessage,
  findAgent,
  pidFileBeside,
  type RunningAgent,
  type RunOptions,
  readPidFile,
  replies,
  runAgent,
  writePidFile,
} from '../src/index.js'
import { startOf } from '../src/platform/running.js'
import { later, leaveStaleSocket, listenAt, makeTemporary, RawClient } from './support.js'

async function start(options: RunOptions): Promise<RunningAgent> {
  const agent = await runAgent(options)
  later(() => agent.stop())
  return agent
}

const isGone = { code: 'unreachable' }

test('it runs, is found with its pid, and leaves nothing when it is stopped', async () => {
  const folder = join(await makeTemporary(), 'keytool')
  const socket = join(folder, 'agent.sock')
  expect(await findAgent(socket)).toBeUndefined()
  const agent = await start({ socket })
  expect((await readdir(folder)).sort()).toEqual(['agent.pid', 'agent.sock'])
  expect((await lstat(join(folder, 'agent.pid'))).mode & 0o777).toBe(0o600)
  expect(await findAgent(socket)).toEqual({ socket, pid: process.pid, since: expect.stringMatching(/^\d{4}-.*Z$/) })
  await agent.stop()
  await agent.stopped
  await agent.stop()
  expect(await readdir(folder)).toEqual([])
  expect(await findAgent(socket)).toBeUndefined()
})

test('an abort stops it: clients are cut off, keys are wiped', async () => {
  const socket = join(await makeTemporary(), 'agent.sock')
  const stop = new AbortController()
  const ring = createRing()
  const agent = await start({ socket, ring, signal: stop.signal })
  const key = await generate('ed25519')
  await ring.add(key)
  const client = await connectAgent(socket)
  expect(await client.list()).toHaveLength(1)
  const idle = await RawClient.connect(socket)
  stop.abort()
  await agent.stopped
  expect(Object.values(key.parts).every(part => part.every(byte => byte === 0))).toBe(true)
  expect(await ring.list()).toEqual([])
  await idle.untilClosed()
  await expect(client.list()).rejects.toMatchObject(isGone)
  await expect(connectAgent(socket)).rejects.toMatchObject(isGone)
})

test('keys are wiped at the end even while it is locked', async () => {
  const socket = join(await makeTemporary(), 'agent.sock')
  const ring = createRing()
  const agent = await start({ socket, ring })
  const key = await generate('ed25519')
  await ring.add(key)
  await ring.lock(Buffer.from('p'))
  await agent.stop()
  expect(Object.values(key.parts).every(part => part.every(byte => byte === 0))).toBe(true)
})

test('one that was told to stop before it began does not begin', async () => {
  const folder = await makeTemporary()
  await expect(runAgent({ socket: join(folder, 's'), signal: AbortSignal.abort() })).rejects.toBeDefined()
  expect(await readdir(folder)).toEqual([])
})

test('a second one on the same socket fails and disturbs nothing', async () => {
  const socket = join(await makeTemporary(), 'agent.sock')
  await start({ socket })
  const before = await readFile(pidFileBeside(socket), 'utf8')
  await expect(runAgent({ socket })).rejects.toMatchObject({ code: 'exists' })
  expect(await readFile(pidFileBeside(socket), 'utf8')).toBe(before)
  expect(await findAgent(socket)).toMatchObject({ pid: process.pid })
})

test('of many started at once one runs, and the others leave its pid file alone', async () => {
  const folder = await makeTemporary()
  const socket = join(folder, 'agent.sock')
  await leaveStaleSocket(socket)
  const starts = await Promise.allSettled(Array.from({ length: 10 }, () => start({ socket })))
  expect(starts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  expect(await findAgent(socket)).toMatchObject({ pid: process.pid })
  expect((await readdir(folder)).sort()).toEqual(['agent.pid', 'agent.sock'])
})

test('two sockets in one folder have a pid file each', async () => {
  const folder = await makeTemporary()
  await start({ socket: join(folder, 'one.sock') })
  const two = await start({ socket: join(folder, 'two') })
  expect((await readdir(folder)).sort()).toEqual(['one.sock', 'one.sock.keytool.pid', 'two', 'two.keytool.pid'])
  await two.stop()
  expect((await readdir(folder)).sort()).toEqual(['one.sock', 'one.sock.keytool.pid'])
})

test('a pid file is believed only when the socket answers, it is about that socket, and the process exists', async () => {
  const folder = await makeTemporary()
  const socket = join(folder, 'agent.sock')
  const pidFile = pidFileBeside(socket)
  const since = new Date(0).toISOString()
  const start = startOf(process.pid)
  await writePidFile(pidFile, { pid: process.pid, socket, since, start })
  expect(await findAgent(socket)).toBeUndefined()
  await leaveStaleSocket(socket)
  expect(await findAgent(socket)).toBeUndefined()

  const other = createServer(peer =>
    peer.on('data', () => peer.write(encodeMessage(replies.identities, { identities: [] }))),
  )
  const live = join(folder, 'live')
  await listenAt(other, live)
  later(() => new Promise(resolve => other.close(resolve)))
  const pid = async () => (await findAgent(live, pidFile))?.pid
  expect(await findAgent(live, pidFile)).toEqual({ socket: live, pid: undefined, since: undefined })
  await writePidFile(pidFile, { pid: process.pid, socket: live, since, start })
  expect(await pid()).toBe(process.pid)
  // Above every system's largest pid.
  await writePidFile(pidFile, { pid: 2 ** 30, socket: live, since, start })
  expect(await pid()).toBeUndefined()
})

test('what answers but is no agent is not found', async () => {
  const path = join(await makeTemporary(), 's')
  const web = createServer(peer => peer.on('data', () => peer.end('HTTP/1.1 400 Bad Request\r\n\r\n')))
  await listenAt(web, path)
  later(() => new Promise(resolve => web.close(resolve)))
  expect(await findAgent(path)).toBeUndefined()
})

test.each(['', '123', '{}', '{"version":1,"pid":"1","socket":"s","since":""}', '{"version":2,"pid":1}', '\0\0'])(
  'a pid file that says %j says nothing',
  async content => {
    const path = join(await makeTemporary(), 'agent.pid')
    await writeFile(path, content)
    expect(await readPidFile(path)).toBeUndefined()
  },
)

test('a pid file that speaks of another agent by now stays', async () => {
  const socket = join(await makeTemporary(), 'agent.sock')
  const agent = await start({ socket })
  await writePidFile(pidFileBeside(socket), { pid: 1, socket, since: new Date(0).toISOString(), start: undefined })
  await agent.stop()
  expect(await readPidFile(pidFileBeside(socket))).toMatchObject({ pid: 1 })
})
