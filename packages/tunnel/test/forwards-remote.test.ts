import { once } from 'node:events'
import { createServer, type Server, Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { KeytoolError } from '@keytool/keygen'
import type { Connection } from '../src/connection/connection.js'
import { reachTarget } from '../src/forwards/dial-target.js'
import { fakeServer, OpenForwards, until } from './forwards-fake.js'

const forwards = new OpenForwards()
let target: Server
let serve: (socket: Socket) => void
let port: number

beforeAll(async () => {
  target = createServer({ allowHalfOpen: true }, socket => serve(socket.on('error', () => {})))
  target.listen(0, '127.0.0.1')
  await once(target, 'listening')
  port = (target.address() as { port: number }).port
})

beforeEach(() => {
  serve = socket => void socket.pipe(socket)
})

afterEach(() => forwards.close())
afterAll(() => target.close())

async function attached(text: string, server = fakeServer(), more = {}) {
  const forward = await forwards.open('remote', text, server, more)
  await forward.attach(server.connection)
  return { forward, server }
}

test('asks the server for loopback, every address, or what is written', async () => {
  for (const [text, host] of [
    ['8080:a:1', 'localhost'],
    ['*:8080:a:1', ''],
    ['[::1]:8080:a:1', '::1'],
  ] as const) {
    const { server, forward } = await attached(text)
    expect(server.asked.listen).toEqual([{ host, port: 8080 }])
    await forward.close()
    expect(server.asked.closed).toHaveLength(1)
  }
  const { server, forward } = await attached('/run/a:/run/b')
  expect(server.asked.listen).toEqual([{ path: '/run/a' }])
  expect(forward).toMatchObject({ place: '/run/a', port: undefined })
})

test('shows the port that the server chose, and asks for that one from the next', async () => {
  const { forward } = await attached('0:a:1')
  expect(forward).toMatchObject({ place: 'localhost:40000', port: 40_000 })
  const next = fakeServer()
  await forward.attach(next.connection)
  expect(next.asked.listen).toEqual([{ host: 'localhost', port: 40_000 }])
  await forward.close()
  expect(next.asked.closed).toHaveLength(1)
})

test('what the server refuses, attaching throws; the forward can be attached to another', async () => {
  const forward = await forwards.open('remote', '8080:a:1', fakeServer())
  expect(forward.place).toBe('localhost:8080')
  const refusing: Connection = {
    ...fakeServer().connection,
    listenRemote: () => Promise.reject(new KeytoolError('refused', 'the server does not listen')),
  }
  await expect(forward.attach(refusing)).rejects.toMatchObject({ code: 'refused' })
  await forward.attach(fakeServer().connection)
})

test('closed while the server is asked: what it grants then is given back', async () => {
  const server = fakeServer()
  const forward = await forwards.open('remote', '8080:a:1', server)
  const attaching = forward.attach(server.connection)
  await forward.close()
  await attaching
  expect(server.asked.closed).toEqual([{ host: 'localhost', port: 8080 }])
  await forward.attach(server.connection)
  expect(server.asked.listen).toHaveLength(1)
})

test('carries both ways, each end by itself', async () => {
  serve = socket => {
    const parts: Buffer[] = []
    socket.on('data', part => parts.push(part)).on('end', () => socket.end(`[${Buffer.concat(parts)}]`))
  }
  const { forward, server } = await attached(`0:127.0.0.1:${port}`)
  const { far, outcome } = server.arrive()
  far.end('abc')
  expect(await outcome).toBe('accepted')
  expect(String(await buffer(far))).toBe('[abc]')
  await until(() => forward.counters.open === 0)
  expect(forward.counters).toEqual({ connections: 1, open: 0, bytesIn: 3, bytesOut: 5 })
})

test('a target that refuses: the connection is rejected, not accepted and closed', async () => {
  const troubles: unknown[] = []
  const onTrouble = (error: unknown) => troubles.push(error)
  const { forward, server } = await attached('0:127.0.0.1:1', fakeServer(), { onTrouble })
  expect(await server.arrive().outcome).toBe('rejected')
  await until(() => forward.counters.open === 0)
  expect(troubles).toMatchObject([{ code: 'unreachable', message: '127.0.0.1:1 refuses the connection' }])
  expect(forward.counters).toMatchObject({ connections: 1, lastError: '127.0.0.1:1 refuses the connection' })
})

test('a Unix socket that is not there', async () => {
  const { forward, server } = await attached('0:/nonexistent/x')
  expect(await server.arrive().outcome).toBe('rejected')
  await until(() => forward.counters.lastError === '/nonexistent/x is not there')
})

test('a target that resets: the channel is cut, never ended', async () => {
  serve = socket => void socket.once('data', () => socket.resetAndDestroy())
  const { server } = await attached(`0:127.0.0.1:${port}`)
  const { far } = server.arrive()
  let ended = false
  far.on('end', () => {
    ended = true
  })
  far.resume().write('half')
  await new Promise(resolve => far.once('close', resolve))
  expect(ended).toBe(false)
})

test('a channel that is cut resets the target', async () => {
  let heard = 0
  const broken = new Promise<string>(resolve => {
    serve = socket => {
      socket.on('end', () => resolve('end')).on('error', error => resolve((error as NodeJS.ErrnoException).code ?? ''))
      socket.on('data', part => {
        heard += part.length
      })
    }
  })
  const { server } = await attached(`0:127.0.0.1:${port}`)
  const { far, outcome } = server.arrive()
  await outcome
  far.write('half')
  // A reset that comes together with data is read as an end.
  await until(() => heard === 4)
  far.destroy()
  expect(await broken).toBe('ECONNRESET')
})

test('one more than its limit is rejected and counted', async () => {
  const { forward, server } = await attached(`0:127.0.0.1:${port}`, fakeServer(), { limits: { connections: 1 } })
  const { outcome } = server.arrive()
  expect(await outcome).toBe('accepted')
  expect(await server.arrive().outcome).toBe('rejected')
  expect(forward.counters).toMatchObject({ connections: 2, open: 1 })
})

test('who comes after it was closed is rejected', async () => {
  const server = fakeServer()
  const forward = await forwards.open('remote', `0:127.0.0.1:${port}`, server)
  // A server that takes its time over the request to stop.
  const { listenRemote } = server.connection
  await forward.attach({
    ...server.connection,
    listenRemote: async (...args) => ({ ...(await listenRemote(...args)), close: async () => {} }),
  })
  await forward.close()
  expect(await server.arrive().outcome).toBe('rejected')
})

test('a target that never answers is given up', async () => {
  const silent = new Socket().on('error', () => {})
  await expect(reachTarget(silent, { host: 'far.example', port: 9 }, 20)).rejects.toMatchObject({
    code: 'unreachable',
    message: 'far.example:9 does not answer',
  })
  expect(silent.destroyed).toBe(true)
})
