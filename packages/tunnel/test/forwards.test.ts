import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { Duplex, PassThrough } from 'node:stream'
import { KeytoolError } from '@keytool/keygen'
import type { Forward, ForwardOptions } from '../src/forwards/forward.js'
import { explainListening } from '../src/forwards/listen.js'
import { parseForward } from '../src/forwards/spec.js'
import { findPortOwner } from '../src/platform/port-owner.js'
import { echoAtEnd, endOf, fakeServer, OpenForwards, refuse, until, visit } from './forwards-fake.js'

const forwards = new OpenForwards()

afterEach(() => forwards.close())

function listen(open: () => Duplex | Promise<Duplex>, more: Partial<ForwardOptions> = {}): Promise<Forward> {
  return forwards.open('local', '0:target:1', fakeServer(open), more)
}

describe('a listener', () => {
  test('tells the target where the connection came from', async () => {
    const server = fakeServer(refuse)
    const troubles: unknown[] = []
    const onTrouble = (error: unknown) => troubles.push(error)
    const forward = await forwards.open('local', '0:target.example:42', server, { onTrouble })
    expect(await endOf(visit(forward))).toBe('ECONNRESET')
    await until(() => forward.counters.open === 0)
    expect(server.asked.direct).toEqual([['target.example', 42, { host: '127.0.0.1', port: expect.any(Number) }]])
    expect(forward.counters).toEqual({ connections: 1, open: 0, bytesIn: 0, bytesOut: 0, lastError: 'not this one' })
    expect(troubles).toMatchObject([{ message: 'not this one' }])
    expect(forward.place).toBe(`127.0.0.1:${forward.port}`)
  })

  test('leads to a Unix socket on the server', async () => {
    const server = fakeServer(echoAtEnd)
    const forward = await forwards.open('local', '0:/run/x.sock', server)
    const socket = visit(forward)
    socket.end('abc')
    expect(String(await once(socket, 'data'))).toBe('[abc]')
    expect(server.asked.unix).toEqual(['/run/x.sock'])
  })

  test('waits with reading until the target is there, and hands each end on by itself', async () => {
    const gate = new PassThrough()
    const forward = await listen(async () => {
      await once(gate, 'data')
      return echoAtEnd()
    })
    const socket = visit(forward)
    socket.end('before anybody listens')
    gate.write('go')
    const [answer] = await once(socket, 'data')
    expect(String(answer)).toBe('[before anybody listens]')
    expect(await endOf(socket)).toBe('end')
  })

  test('a link that gives no connection is a reset', async () => {
    const connection = () => Promise.reject(new KeytoolError('unreachable', 'down just now'))
    const forward = await listen(echoAtEnd, { link: { connection } })
    expect(await endOf(visit(forward))).toBe('ECONNRESET')
    expect(forward.counters).toMatchObject({ connections: 1, lastError: 'down just now' })
  })

  test('who leaves while the connection is awaited is forgotten, and nothing is asked of the server', async () => {
    const server = fakeServer(echoAtEnd)
    let arrive: () => void = () => {}
    const gate = new Promise<void>(resolve => {
      arrive = resolve
    })
    const connection = () => gate.then(() => server.connection)
    const forward = await forwards.open('local', '0:target:1', server, { link: { connection } })
    const ended = endOf(visit(forward))
    await until(() => forward.counters.open === 1)
    await forward.close()
    arrive()
    expect(await ended).toBe('ECONNRESET')
    await new Promise(setImmediate)
    expect(server.asked.direct).toEqual([])
  })

  test('a channel that breaks is a reset, even when half of it had ended', async () => {
    const forward = await listen(async () => {
      const stream = echoAtEnd()
      setTimeout(() => stream.destroy(new KeytoolError('unreachable', 'lost')), 50)
      return stream
    })
    expect(await endOf(visit(forward))).toBe('ECONNRESET')
    expect(forward.counters.lastError).toBe('lost')
  })

  test('a local program that breaks destroys the channel without ending it', async () => {
    const stream = echoAtEnd()
    let finished = false
    stream.on('finish', () => {
      finished = true
    })
    const forward = await listen(async () => stream)
    const socket = visit(forward)
    socket.write('half')
    await once(stream, 'pipe')
    await new Promise(resolve => setTimeout(resolve, 20))
    socket.resetAndDestroy()
    await once(stream, 'close')
    expect(finished).toBe(false)
  })

  test('a slow reader holds the sender back', async () => {
    let sent = 0
    const block = Buffer.alloc(64 * 1024)
    const source = new Duplex({
      read() {
        sent += block.length
        this.push(block)
      },
      write: (_chunk, _encoding, done) => done(),
    })
    const forward = await listen(async () => source)
    const socket = visit(forward)
    await once(socket, 'connect')
    socket.pause()
    await new Promise(resolve => setTimeout(resolve, 300))
    // What the two ends of a loopback connection hold by themselves is some MiB.
    expect(sent).toBeLessThan(32 * 1024 * 1024)
    socket.destroy()
  })

  test('closes while some are open, and may be closed again', async () => {
    const forward = await listen(() => new PassThrough())
    const socket = visit(forward)
    const ended = endOf(socket)
    await until(() => forward.counters.open === 1)
    await Promise.all([forward.close(), forward.close()])
    expect(await ended).toBe('ECONNRESET')
    expect(await endOf(visit(forward))).toBe('ECONNREFUSED')
  })

  test('one more than its limit is reset and counted; there is room again when one has left', async () => {
    const troubles: unknown[] = []
    const limits = { connections: 2 }
    const forward = await listen(() => new PassThrough(), { limits, onTrouble: error => troubles.push(error) })
    const sockets: Socket[] = []
    for (let index = 0; index < 2; index++) {
      sockets.push(visit(forward).resume())
      await until(() => forward.counters.open === index + 1)
    }
    expect(await endOf(visit(forward))).toBe('ECONNRESET')
    expect(forward.counters).toMatchObject({ connections: 3, open: 2 })
    const told = 'more than 2 connections at once through one forward'
    expect(forward.counters.lastError).toBe(told)
    expect(troubles).toMatchObject([{ code: 'failed', message: told }])
    sockets[0]?.resetAndDestroy()
    await until(() => forward.counters.open === 1)
    const next = visit(forward)
    next.end('in')
    expect(String(await once(next, 'data'))).toBe('in')
  })
})

describe('a port in use', () => {
  let holder: Server
  let port: number

  beforeAll(async () => {
    holder = createServer().listen(0, '127.0.0.1')
    await once(holder, 'listening')
    port = (holder.address() as { port: number }).port
  })

  afterAll(() => holder.close())

  test.each([
    ['local', '-L', ':mail.example:110'],
    ['local', '-L', ':/run/a\\:b'],
    ['dynamic', '-D', ''],
  ] as const)('is named with its holder where that can be known, and a free one: %s', async (kind, option, rest) => {
    const owner = await findPortOwner(port, '127.0.0.1')
    // This very process holds it. Other systems can't tell.
    expect(owner?.pid).toBe(process.platform === 'linux' ? process.pid : undefined)
    const error = await forwards
      .open(kind, `${port}${rest}`, fakeServer())
      .then(undefined, (error: KeytoolError) => error)
    expect(error).toMatchObject({
      code: 'failed',
      message: `127.0.0.1:${port} is in use`,
      reason: owner && `held by ${owner.name} (pid ${owner.pid})`,
    })
    const [, free] = new RegExp(`^a free port: ${option} (\\d+)`).exec((error as KeytoolError).hint ?? '') ?? []
    expect((error as KeytoolError).hint).toBe(`a free port: ${option} ${free}${rest}`)
    // It can be typed as it stands.
    await forwards.open(kind, `${free}${rest}`, fakeServer())
  })

  test('has nobody named when free, for another address, or on a system that can’t tell', async () => {
    expect(await findPortOwner(1, '127.0.0.1')).toBeUndefined()
    expect(await findPortOwner(port, '127.0.0.77')).toBeUndefined()
    expect(await findPortOwner(port, '127.0.0.1', 'win32')).toBeUndefined()
  })
})

test('a port kept for root comes with one that is not', async () => {
  const denied = { code: 'EACCES' }
  const local = await explainListening(denied, parseForward('local', '110:mail.example:110'))
  expect(local).toMatchObject({ code: 'failed', hint: 'take -L 1110:mail.example:110' })
  const dynamic = await explainListening(denied, parseForward('dynamic', '*:80'))
  expect(dynamic).toMatchObject({ code: 'failed', hint: 'take -D *:1080' })
})

test('an address of another machine', async () => {
  await expect(forwards.open('local', '192.0.2.1:0:a:1', fakeServer())).rejects.toMatchObject({
    code: 'failed',
    reason: 'that is no address of this machine',
  })
})
