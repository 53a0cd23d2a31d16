import { once } from 'node:events'
import { type Duplex, PassThrough } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { jest } from '@jest/globals'
import type { Guest } from '../src/forwards/forward.js'
import { systemClock } from '../src/supervisor/clock.js'
import { WaitingRoom } from '../src/supervisor/waiting-room.js'
import { echoAtEnd, endOf, type FakeServer, fakeServer, OpenForwards, until, visit } from './forwards-fake.js'

const forwards = new OpenForwards()
let room: WaitingRoom

beforeEach(() => {
  room = new WaitingRoom({ target: 'x', whileDown: 'hold', holdTime: 20_000, holdMax: 64, clock: systemClock })
})
afterEach(() => forwards.close())

const SOCKS = Buffer.from('\x04\x01\x00\x50\x00\x00\x00\x01\x00host\x00', 'latin1')

const listen = (kind: 'local' | 'dynamic', server: FakeServer) =>
  forwards.open(kind, kind === 'local' ? '0:target:1' : '0', server, {
    link: { connection: (guest?: Guest) => room.take(guest) },
  })

describe('who waits for the connection', () => {
  test.each([
    ['local', 'breaks', ''],
    ['local', 'ends', ''],
    ['local', 'breaks', 'a word'],
    ['dynamic', 'breaks', SOCKS],
    ['dynamic', 'ends', SOCKS],
  ] as const)('and leaves has no place there: %s, it %s after %j', async (kind, how, words) => {
    const server = fakeServer(echoAtEnd)
    const forward = await listen(kind, server)
    const socket = visit(forward)
    if (words.length > 0) socket.write(words)
    await until(() => room.size === 1 && socket.bytesWritten === words.length)
    // Its words are read by now: a reset that comes together with them can't be told from an end.
    for (let i = 0; i < 20; i++) await setImmediate()
    if (how === 'ends') socket.end()
    else socket.resetAndDestroy()
    await until(() => room.size === 0 && forward.counters.open === 0)
    room.open(server.connection)
    await setImmediate()
    expect(server.asked.direct).toEqual([])
  })

  test('and has said all it has to say is carried', async () => {
    const server = fakeServer(echoAtEnd)
    const forward = await listen('local', server)
    const socket = visit(forward)
    socket.end('abc')
    await until(() => room.size === 1)
    // Its end is there by now.
    for (let i = 0; i < 20; i++) await setImmediate()
    expect(room.size).toBe(1)
    room.open(server.connection)
    const [answer] = await once(socket, 'data')
    expect(String(answer)).toBe('[abc]')
    expect(await endOf(socket)).toBe('end')
    await until(() => forward.counters.open === 0)
  })

  test('and ends without a word once it may go through is handed on as that', async () => {
    const gate = new PassThrough()
    let opening = false
    const server = fakeServer(async () => {
      opening = true
      await once(gate, 'data')
      return echoAtEnd()
    })
    const forward = await listen('local', server)
    const socket = visit(forward)
    await until(() => room.size === 1)
    room.open(server.connection)
    await until(() => opening)
    socket.end()
    for (let i = 0; i < 20; i++) await setImmediate()
    gate.write('go')
    const [answer] = await once(socket, 'data')
    expect(String(answer)).toBe('[]')
  })
})

describe('a server that does not say whether it reaches the target', () => {
  beforeEach(() => {
    // Only what waits for long: sockets go on.
    jest.useFakeTimers({ doNotFake: ['Date', 'hrtime', 'nextTick', 'performance', 'queueMicrotask', 'setImmediate'] })
  })
  afterEach(() => {
    jest.useRealTimers()
  })

  const soon = async (done: () => boolean) => {
    for (const end = Date.now() + 15_000; Date.now() < end && !done(); ) await setImmediate()
    expect(done()).toBe(true)
  }

  test.each([
    ['local', '0:target:1'],
    ['local', '0:/run/x'],
  ] as const)('-%s %s: a reset after a minute, and what comes later is closed', async (kind, text) => {
    let answer: (channel: Duplex) => void = () => {}
    const opened = new Promise<Duplex>(resolve => {
      answer = resolve
    })
    const server = fakeServer(() => opened)
    const forward = await forwards.open(kind, text, server)
    const end = endOf(visit(forward))
    await soon(() => server.asked.direct.length + server.asked.unix.length === 1)
    jest.advanceTimersByTime(59_999)
    await setImmediate()
    expect(forward.counters.open).toBe(1)
    jest.advanceTimersByTime(1)
    expect(await end).toBe('ECONNRESET')
    await soon(() => forward.counters.open === 0)
    expect(forward.counters.lastError).toMatch(/^the server does not say whether it reaches (target:1|\/run\/x)$/)
    const late = new PassThrough()
    answer(late)
    await soon(() => late.destroyed)
  })

  test('by SOCKS: the reply that it failed', async () => {
    const server = fakeServer(() => new Promise<never>(() => {}))
    const forward = await forwards.open('dynamic', '0', server)
    const socket = visit(forward)
    socket.write(SOCKS)
    await soon(() => server.asked.direct.length === 1)
    jest.advanceTimersByTime(60_000)
    const [reply] = await once(socket, 'data')
    expect([...reply.subarray(0, 2)]).toEqual([0, 91])
    socket.destroy()
    await soon(() => forward.counters.open === 0)
  })
})
