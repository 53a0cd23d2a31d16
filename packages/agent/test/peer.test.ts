import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import { isForeign, type PeerReader, preparePeers } from '../src/platform/peer.js'
import type { PeerSource } from '../src/platform/peer-source.js'
import type { Peer } from '../src/who.js'
import { later, listenAt, makeTemporary } from './support.js'

const isRoot = process.getuid?.() === 0
const NOBODY = 65534

/** Two programs, one started by the other, of which the second connects; and their socket on our side. */
async function connectFrom(user: { uid?: number } = {}): Promise<{ socket: Socket; pids: () => number[] }> {
  const folder = await makeTemporary()
  // The file's mode must not be what keeps the other user out here.
  await chmod(folder, 0o755)
  const path = join(folder, 'a.sock')
  const server = createServer()
  await listenAt(server, path)
  later(() => server.close())
  await chmod(path, 0o777)
  const inner = join(folder, 'push.js')
  const outer = join(folder, 'release.js')
  await writeFile(
    inner,
    `require('net').connect(${JSON.stringify(path)}).on('error', () => {}); process.stdin.resume()`,
  )
  await writeFile(
    outer,
    `const { pid } = require('child_process').spawn(process.execPath, [${JSON.stringify(inner)}], { stdio: 'inherit' })
    process.stdout.write(String(pid))`,
  )
  const accepted = once(server, 'connection')
  const child = spawn(process.execPath, [outer], { stdio: ['pipe', 'pipe', 'inherit'], ...user })
  // Both end with their input.
  later(() => child.stdin.end())
  const [[socket], [inside]] = await Promise.all([accepted, once(child.stdout, 'data')])
  later(() => socket.destroy())
  return { socket, pids: () => [Number(String(inside)), child.pid ?? 0] }
}

let reader: PeerReader

beforeAll(async () => {
  reader = await preparePeers()
})

test('user, process and programs of who connects', async () => {
  const { socket, pids } = await connectFrom()
  const peer = reader.read(socket)
  const [inner, outer] = pids()
  expect(reader.trouble).toBeUndefined()
  expect(peer).toMatchObject({ uid: process.getuid?.(), pid: inner })
  expect(peer?.programs.slice(0, 2)).toEqual([
    { pid: inner, name: 'push', path: process.execPath },
    { pid: outer, name: 'release', path: process.execPath },
  ])
  expect(peer?.programs[2]?.pid).toBe(process.pid)
  expect(reader.argumentsOf(inner ?? 0)).toEqual([process.execPath, expect.stringMatching(/push\.js$/)])
  expect(peer && isForeign(peer)).toBe(false)
})

test('another user is told from us, though the socket let them in', async () => {
  const { socket } = await connectFrom(isRoot ? { uid: NOBODY } : {})
  const peer = reader.read(socket) ?? { programs: [] }
  expect(peer.uid).toBe(isRoot ? NOBODY : process.getuid?.())
  expect(isForeign(peer, isRoot ? 0 : NOBODY + 1)).toBe(true)
})

test('of a connection that is gone nothing is known', async () => {
  const { socket } = await connectFrom()
  socket.destroy()
  expect(reader.read(socket)).toBeUndefined()
})

test.each<[Peer, number, boolean]>([
  [{ uid: 1000, programs: [] }, 1000, false],
  [{ uid: 1001, programs: [] }, 1000, true],
  [{ uid: 0, programs: [] }, 1000, false],
  [{ uid: 1000, programs: [] }, 0, true],
  [{ programs: [] }, 1000, false],
])('%j is foreign to user %s: %s', (peer, own, foreign) => {
  expect(isForeign(peer, own)).toBe(foreign)
})

describe('a system that does not tell', () => {
  const nothing = { read: {} as Socket }

  test.each(['win32', 'plan9'])('on %s says so, and everybody is nobody in particular', async system => {
    const { trouble, read, argumentsOf } = await preparePeers(system)
    expect(trouble).toMatch(system === 'win32' ? /Windows/ : /plan9/)
    expect(read(nothing.read)).toEqual({ programs: [] })
    expect(argumentsOf(process.pid)).toEqual([])
  })

  test('for want of koffi names it', async () => {
    const { trouble, read } = await preparePeers('linux', () => Promise.reject(new Error('no \u001b[31mbinary')))
    expect(trouble).toBe('koffi, which asks the system who connects, could not be loaded: no \\u{1b}[31mbinary')
    expect(read(nothing.read)).toEqual({ programs: [] })
  })

  test('for a reason of ours gives that', async () => {
    const open = () => Promise.reject(new KeytoolError('unsupported', 'it is closed'))
    expect((await preparePeers('linux', open)).trouble).toBe('it is closed')
  })
})

test('a peer whose process is out of sight has a user and no programs', async () => {
  const source: PeerSource = {
    credentials: () => ({ uid: 7 }),
    look: () => {
      throw new Error('looked')
    },
    argumentsOf: () => [],
  }
  const { read } = await preparePeers('linux', () => Promise.resolve(source))
  expect(read({} as Socket)).toEqual({ uid: 7, programs: [] })
})
