import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Counters, pump, zeroCounters } from '../src/forwards/pump.js'
import { reset } from '../src/forwards/reset.js'
import { endOf, pair, until } from './forwards-fake.js'

const MiB = 1024 * 1024

let server: Server
const sockets: Socket[] = []

beforeAll(async () => {
  server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
})
afterAll(() => server.close())

/** A program, the socket to it, and both ends of a channel that it is pumped to. */
async function pumped() {
  const program = connect({ port: (server.address() as { port: number }).port, host: '127.0.0.1', allowHalfOpen: true })
  const [socket]: Socket[] = await once(server, 'connection')
  if (!socket) throw new Error('no socket')
  for (const each of [program, socket]) sockets.push(each.on('error', () => {}))
  const [near, far] = pair()
  const counters: Counters = zeroCounters()
  return { program, socket, near, far, counters, start: () => pump(socket, near, counters) }
}

test('bytes that come together with a RST are carried, and no end after them', async () => {
  const { program, far, counters, start } = await pumped()
  program.write('all of it')
  program.resetAndDestroy()
  await sleep(20)
  start()
  const got: string[] = []
  far.on('data', chunk => got.push(String(chunk))).on('end', () => got.push('end'))
  await new Promise(resolve => far.once('close', resolve))
  expect(got.join('')).toBe('all of it')
  expect(counters.bytesOut).toBe(9)
})

test('a FIN after the same bytes is an end', async () => {
  const { program, far, start } = await pumped()
  program.end('all of it')
  await sleep(20)
  start()
  const got: string[] = []
  far.on('data', chunk => got.push(String(chunk)))
  await once(far, 'end')
  expect(got.join('')).toBe('all of it')
})

test('an end is handed on to the far side even while the program reads nothing', async () => {
  const { program, socket, far, start } = await pumped()
  start()
  far.write(Buffer.alloc(16 * MiB))
  await until(() => socket.writableLength > 0)
  program.end('request')
  const got: string[] = []
  far.on('data', chunk => got.push(String(chunk)))
  await once(far, 'end')
  expect(got.join('')).toBe('request')
})

test('a RST is no end even while bytes wait to be written', async () => {
  const { program, socket, far, start } = await pumped()
  start()
  far.write(Buffer.alloc(16 * MiB))
  await until(() => socket.writableLength > 0)
  let ended = false
  far.on('end', () => {
    ended = true
  })
  program.write('half')
  program.resetAndDestroy()
  far.resume()
  await new Promise(resolve => far.once('close', resolve))
  expect(ended).toBe(false)
})

test('the far side ends first and reads slowly: all that was sent arrives, then the end', async () => {
  const { program, far, start } = await pumped()
  start()
  far.end()
  await once(program.resume(), 'end')
  const sent = Buffer.alloc(MiB, 'x')
  program.end(sent)
  await once(program, 'close')
  let got = 0
  far.on('data', chunk => {
    got += chunk.length
    far.pause()
    setTimeout(() => far.resume(), 2)
  })
  await once(far, 'end')
  expect(got).toBe(sent.length)
})

test('a program that breaks: what it had sent goes out before the channel is closed', async () => {
  const { program, socket, far, start } = await pumped()
  start()
  // The far side's buffer takes the first two, the near side's the third.
  for (const length of [9_000, 9_000, 6_000]) {
    const read = socket.bytesRead + length
    program.write(Buffer.alloc(length, 'x'))
    await until(() => socket.bytesRead === read)
  }
  program.resetAndDestroy()
  await new Promise(resolve => socket.once('close', resolve))
  let got = 0
  let ended = false
  far.on('data', chunk => {
    got += chunk.length
  })
  far.on('end', () => {
    ended = true
  })
  await new Promise(resolve => far.once('close', resolve))
  expect([got, ended]).toEqual([24_000, false])
})

test('a reset while a FIN is on its way comes after it, and the socket is closed', async () => {
  const { program, socket } = await pumped()
  program.on('end', () => {})
  socket.once('finish', () => {})
  socket.end()
  // The FIN is given to the system in the next tick, and goes out when the loop comes round.
  await new Promise<void>(resolve => process.nextTick(() => process.nextTick(resolve)))
  reset(socket)
  await new Promise(resolve => socket.once('close', resolve))
  expect(socket.errored).toBeNull()
  expect(await endOf(program)).toMatch(/^(end|ECONNRESET|EPIPE)$/)
})
