import { once } from 'node:events'
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import {
  askTunnel,
  findTunnels,
  forgetStopped,
  keyOfTunnel,
  listStopped,
  noteStopped,
  type RunningTunnel,
  serveTunnel,
  stopTunnel,
  type Tunnel,
  type TunnelDesk,
} from '@keytool/tunnel'
import { listKeys, placeOfTunnel } from '../src/running/place.js'
import { withoutRights } from './without-rights.js'

let folder: string
let places: { runtime: string; state: string }
const desks: TunnelDesk[] = []
const servers: Server[] = []

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kt-'))
  await mkdir(join(folder, 'run'), { mode: 0o700 })
  places = { runtime: join(folder, 'run/keytool'), state: join(folder, 'state') }
})

afterEach(async () => {
  for (const server of servers.splice(0)) server.close()
  for (const desk of desks.splice(0)) await desk.close()
  await rm(folder, { recursive: true })
})

const key = keyOfTunnel('mail')
const status = {
  state: 'up' as const,
  since: '2026-11-29T12:00:00.000Z',
  until: null,
  reconnects: 3,
  lastError: null,
  forwards: [],
}
const running: RunningTunnel = { version: 1, name: 'mail', pid: 4711, ...status }

async function serve(more: Partial<Parameters<typeof serveTunnel>[0]> = {}): Promise<TunnelDesk> {
  const tunnel = () => ({ status: () => status }) as unknown as Tunnel
  const desk = await serveTunnel({ places, key, name: 'mail', tunnel, stop: async () => {}, pid: 4711, ...more })
  desks.push(desk)
  return desk
}

test('a tunnel answers what it is, to any number who ask, and its place is nobody else’s', async () => {
  await serve()
  const answers = await Promise.all(Array.from({ length: 50 }, () => askTunnel(places, key)))
  for (const answer of answers) expect(answer).toEqual(running)
  expect(await findTunnels(places)).toEqual([{ key, tunnel: running }])
  const place = placeOfTunnel(places, key)
  expect((await stat(place)).mode & 0o777).toBe(0o600)
  expect((await stat(join(places.runtime, 'tunnels'))).mode & 0o777).toBe(0o700)
})

test('before there is a tunnel it answers, too', async () => {
  await serve({ tunnel: () => undefined })
  expect(await askTunnel(places, key)).toMatchObject({ state: 'idle', forwards: [] })
})

test('a second one of the same is refused, also at the same instant; another has a place of its own', async () => {
  const both = await Promise.allSettled([serve(), serve()])
  expect(both.map(each => each.status).sort()).toEqual(['fulfilled', 'rejected'])
  await expect(serve()).rejects.toMatchObject({ code: 'exists', message: 'the tunnel mail runs already' })
  await serve({ key: keyOfTunnel('other'), name: 'other' })
  expect((await findTunnels(places)).map(({ tunnel }) => tunnel.name)).toEqual(['mail', 'other'])
})

test('stop is answered when all is over, and the place is free then', async () => {
  const events: string[] = []
  const desk = await serve({
    async stop() {
      events.push('asked')
      await new Promise(resolve => setTimeout(resolve, 30))
      events.push('stopped')
      // As whoever holds the tunnel does once it is over.
      void desk.close()
    },
  })
  await stopTunnel(places, key)
  expect(events).toEqual(['asked', 'stopped'])
  expect(await readdir(join(places.runtime, 'tunnels'))).toEqual([])
  expect(await askTunnel(places, key)).toBeUndefined()
  await stopTunnel(places, key)
})

test('whoever asks it to stop is let go when that goes wrong, and so is the place when it can not be tidied up', async () => {
  const desk = await serve({ stop: () => Promise.reject(new Error('EACCES')) })
  const socket = connect(placeOfTunnel(places, key)).on('error', () => {})
  socket.write('stop\n')
  await new Promise(resolve => socket.once('close', resolve))
  const folders = [folder, join(folder, 'run'), places.runtime, join(places.runtime, 'tunnels')]
  for (const each of folders) await chmod(each, 0o555)
  await withoutRights(() => desk.close())
  for (const each of folders) await chmod(each, 0o700)
  expect(await readdir(join(places.runtime, 'tunnels'))).toHaveLength(1)
  expect(await askTunnel(places, key)).toBeUndefined()
  await serve()
  expect(await askTunnel(places, key)).toEqual(running)
})

test.each([
  ['overlong', 'x'.repeat(100_000)],
  ['overlong, with an end', `${'x'.repeat(100_000)}\n`],
  ['an unknown word', 'hello\n'],
  ['a prototype’s name', 'constructor\n'],
  ['no text', '\0\xff\n'],
  ['HTTP', 'GET /status HTTP/1.1\r\nHost: x\r\n\r\n'],
])('%s is no question: the line is closed without a word', async (_what, text) => {
  await serve()
  const socket = connect(placeOfTunnel(places, key))
  const parts: Buffer[] = []
  socket.on('error', () => {}).on('data', part => parts.push(part))
  socket.write(text)
  await new Promise(resolve => socket.once('close', resolve))
  expect(parts).toEqual([])
  expect(await askTunnel(places, key)).toEqual(running)
})

test('a question in pieces is one', async () => {
  await serve()
  const socket = connect(placeOfTunnel(places, key))
  for (const part of ['sta', 'tu', 's\n']) {
    socket.write(part)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  expect(JSON.parse(String((await once(socket, 'data'))[0]))).toEqual(running)
})

test('a crowd that says nothing keeps nobody out', async () => {
  await serve()
  const crowd = Array.from({ length: 300 }, () => connect(placeOfTunnel(places, key)).on('error', () => {}))
  await Promise.all(crowd.map(socket => new Promise(resolve => socket.once('connect', resolve).once('close', resolve))))
  expect(await askTunnel(places, key)).toEqual(running)
  for (const socket of crowd) socket.destroy()
})

describe('what is not safe is refused, and left as it is', () => {
  const tunnels = () => join(places.runtime, 'tunnels')
  const own = () => mkdir(tunnels(), { recursive: true, mode: 0o700 })

  test.each<[string, () => Promise<unknown>]>([
    ['a folder that others may enter', () => own().then(() => chmod(tunnels(), 0o755))],
    [
      'a link for a folder',
      () =>
        own()
          .then(() => rename(tunnels(), `${folder}/x`))
          .then(() => symlink(`${folder}/x`, tunnels())),
    ],
    ['a file for a folder', () => mkdir(places.runtime, { mode: 0o700 }).then(() => writeFile(tunnels(), ''))],
    ['a file for the socket', () => own().then(() => writeFile(placeOfTunnel(places, key), ''))],
    ['a link for the socket', () => own().then(() => symlink('/dev/null', placeOfTunnel(places, key)))],
    ['a folder for the socket', () => own().then(() => mkdir(placeOfTunnel(places, key)))],
  ])('%s', async (_what, put) => {
    await put()
    const look = async () => {
      const { mode, ino } = await lstat(tunnels())
      return { mode, ino, names: await readdir(tunnels()).catch(() => []) }
    }
    const before = await look()
    await expect(serve()).rejects.toMatchObject({ code: 'refused' })
    await expect(askTunnel(places, key)).rejects.toMatchObject({ code: 'refused' })
    await expect(stopTunnel(places, key)).rejects.toMatchObject({ code: 'refused' })
    expect(await findTunnels(places)).toEqual([])
    expect(await look()).toEqual(before)
  })
})

describe('another who answers there', () => {
  async function impostor(say: (write: (text: string) => void, end: () => void) => void): Promise<void> {
    await mkdir(join(places.runtime, 'tunnels'), { recursive: true, mode: 0o700 })
    const server = createServer(socket => {
      socket.on('error', () => {})
      say(
        text => void socket.write(text),
        () => void socket.end(),
      )
    })
    servers.push(server)
    server.listen(placeOfTunnel(places, key))
    await once(server, 'listening')
  }

  test.each([
    ['nothing', ''],
    ['no JSON', 'hello'],
    ['no object', '[]'],
    ['a newer version', JSON.stringify({ ...running, version: 2 })],
    ['a name that is none', JSON.stringify({ ...running, name: 7 })],
    ['forwards that are none', JSON.stringify({ ...running, forwards: [{ kind: 'local' }] })],
    ['null', 'null'],
  ])('%s: it is damaged, and not shown', async (_what, text) => {
    await impostor((write, end) => {
      write(text)
      end()
    })
    await expect(askTunnel(places, key)).rejects.toMatchObject({ code: 'damaged' })
    expect(await findTunnels(places)).toEqual([])
  })

  test('an answer without end is not read to its end', async () => {
    await impostor(write => {
      for (let i = 0; i < 40; i++) write('x'.repeat(65_536))
    })
    await expect(askTunnel(places, key)).rejects.toMatchObject({
      code: 'unreachable',
      reason: expect.stringContaining('too long'),
    })
  })
})

test('a socket that a dead one left is not in the way, and nobody answers there', async () => {
  await serve()
  const place = placeOfTunnel(places, key)
  await desks.pop()?.close()
  const dead = createServer().listen(`${place}.x`)
  await once(dead, 'listening')
  // What libuv removes is the name it bound.
  await import('node:fs/promises').then(({ rename }) => rename(`${place}.x`, place))
  dead.close()
  expect(await askTunnel(places, key)).toBeUndefined()
  expect(await findTunnels(places)).toEqual([])
  await serve()
  expect(await askTunnel(places, key)).toEqual(running)
})

describe('what stopped by itself', () => {
  const error = new KeytoolError('secret-wrong', 'mail.example refuses the key', { reason: 'it offers publickey' })
  const file = () => join(places.state, 'tunnels', `${key}.json`)

  test('is remembered with its error until it is forgotten', async () => {
    await noteStopped(places, key, running, error)
    expect((await stat(file())).mode & 0o777).toBe(0o600)
    expect(await listStopped(places)).toEqual([
      {
        key,
        tunnel: {
          ...running,
          pid: null,
          state: 'stopped',
          lastError: 'mail.example refuses the key: it offers publickey',
        },
      },
    ])
    await noteStopped(places, key, { ...running, reconnects: 4 }, error)
    expect((await listStopped(places))[0]?.tunnel.reconnects).toBe(4)
    expect(await forgetStopped(places, key)).toBe(true)
    expect(await forgetStopped(places, key)).toBe(false)
    expect(await listStopped(places)).toEqual([])
  })

  test.each([
    ['cut', '{"version":1'],
    ['of another form', '{"version":1,"name":"mail"}'],
    ['too large', `${' '.repeat(2 << 20)}{}`],
  ])('a note that is %s is left out, and written over', async (_what, text) => {
    await noteStopped(places, key, running, error)
    await writeFile(file(), text)
    expect(await listStopped(places)).toEqual([])
    await noteStopped(places, key, running, error)
    expect(JSON.parse(await readFile(file(), 'utf8'))).toMatchObject({ state: 'stopped' })
  })

  test('files of other names are none of ours', async () => {
    await noteStopped(places, key, running, error)
    for (const name of ['mail.log', `${key}.json.tmp`, 'x.json'])
      await writeFile(join(places.state, 'tunnels', name), '{}')
    expect(await listStopped(places)).toHaveLength(1)
  })
})

test('keys are short, and the same for the same; sockets of another form are none', async () => {
  expect(key).toMatch(/^[0-9a-f]{16}$/)
  expect(keyOfTunnel('mail')).toBe(key)
  expect(keyOfTunnel('Mail')).not.toBe(key)
  expect(placeOfTunnel(places, key, 'win32')).toMatch(/^\\\\\.\\pipe\\keytool-tunnel-[0-9a-f]{16}-[0-9a-f]{16}$/)
  await mkdir(join(places.runtime, 'tunnels'), { recursive: true, mode: 0o700 })
  for (const name of ['x.sock', `${key}.sock`, `${key}.lock`])
    await writeFile(join(places.runtime, 'tunnels', name), '')
  expect(await listKeys(places)).toEqual([key])
})
