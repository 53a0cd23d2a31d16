import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type Duplex, PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type ErrorCode, KeytoolError } from '@keytool/keygen'
import { speakSocks } from '../src/forwards/socks.js'
import { outcomeOf } from '../src/forwards/socks-replies.js'
import { echoAtEnd, endOf, fakeServer, OpenForwards, pair, until, visit } from './forwards-fake.js'

const forwards = new OpenForwards()

afterEach(() => forwards.close())

/** Bytes from text: what stands in brackets is hex. */
function bytes(text: string): Buffer {
  const parts = text.split(/\[([^\]]*)\]/)
  return Buffer.concat(parts.map((part, index) => Buffer.from(part, index % 2 ? 'hex' : 'latin1')))
}

const hello = '[050100]'
const welcome = '0500'
const granted4 = '005a000000000000'
const rejected4 = '005b000000000000'
/** SOCKS 5's reply with a code. */
const reply5 = (code: string) => `05${code}0001000000000000`

const v6 = '20010db8000000000000000000000001'
const name255 = 'a'.repeat(255)

describe('reaches', () => {
  test.each([
    ['SOCKS 5, a name', `${hello}[0501000308]mail.lan[006e]`, welcome + reply5('00'), 'mail.lan', 110],
    ['SOCKS 5, IPv4', `${hello}[05010001c0000207ffff]`, welcome + reply5('00'), '192.0.2.7', 65535],
    ['SOCKS 5, IPv6', `${hello}[05010004${v6}0001]`, welcome + reply5('00'), '2001:db8:0:0:0:0:0:1', 1],
    ['SOCKS 5, the longest name', `${hello}[05010003ff]${name255}[0050]`, welcome + reply5('00'), name255, 80],
    ['SOCKS 5, more methods', '[05050201800003050100030168006e]', welcome + reply5('00'), 'h', 110],
    ['SOCKS 5, a reserved byte', `${hello}[050199030168006e]`, welcome + reply5('00'), 'h', 110],
    ['SOCKS 4', '[0401006ec000020700]', granted4, '192.0.2.7', 110],
    ['SOCKS 4, a user', '[0401006ec0000207]hana[00]', granted4, '192.0.2.7', 110],
    ['SOCKS 4, the longest user', `[0401006ec0000207]${name255}[00]`, granted4, '192.0.2.7', 110],
    ['SOCKS 4 to 0.0.0.0', '[0401006e0000000000]', granted4, '0.0.0.0', 110],
    ['SOCKS 4a', '[0401006e0000000100]mail.lan[00]', granted4, 'mail.lan', 110],
    ['SOCKS 4a, a user', '[0401006e000000ff]hana[00]mail.lan[00]', granted4, 'mail.lan', 110],
  ])('%s', async (_what, request, reply, host, port) => {
    const sent = bytes(request)
    for (const pieces of [[sent], [...sent].map(byte => Buffer.of(byte))]) {
      const server = fakeServer(echoAtEnd)
      const forward = await forwards.open('dynamic', '0', server)
      const socket = visit(forward)
      for (const piece of pieces) socket.write(piece)
      // Behind the request, before the reply.
      socket.end('early')
      expect((await buffer(socket)).toString('hex')).toBe(reply + Buffer.from('[early]').toString('hex'))
      expect(server.asked.direct).toEqual([[host, port, { host: '127.0.0.1', port: expect.any(Number) }]])
      await until(() => forward.counters.open === 0)
      expect(forward.counters).toEqual({ connections: 1, open: 0, bytesOut: 5, bytesIn: 7 })
    }
  })

  test('one byte at a time, each after the other has been read', async () => {
    const forward = await forwards.open('dynamic', '0', fakeServer(echoAtEnd))
    const socket = visit(forward)
    for (const byte of bytes(`${hello}[0501000308]mail.lan[006e]`)) {
      socket.write(Buffer.of(byte))
      await new Promise(resolve => setTimeout(resolve, 2))
    }
    socket.end('x')
    expect((await buffer(socket)).toString('hex')).toBe(welcome + reply5('00') + Buffer.from('[x]').toString('hex'))
  })

  test('names are not looked up here', async () => {
    const server = fakeServer(echoAtEnd)
    const forward = await forwards.open('dynamic', '0', server)
    const socket = visit(forward)
    socket.end(bytes(`${hello}[0501000312]only-there.invalid[0050]`))
    await buffer(socket)
    expect(server.asked.direct[0]?.[0]).toBe('only-there.invalid')
  })
})

describe('is refused in its own protocol', () => {
  const resolved = '[05010001c00002070050]'

  test.each([
    ['BIND', `${hello}[05020001c00002070050]`, welcome + reply5('07')],
    ['UDP', `${hello}[05030001c00002070050]`, welcome + reply5('07')],
    ['a command of nobody', `${hello}[05ff0001c00002070050]`, welcome + reply5('07')],
    ['BIND in SOCKS 4', '[04020050c000020700]', rejected4],
    ['BIND in SOCKS 4a', '[040200500000000100]h[00]', rejected4],
    ['an address of nobody', `${hello}[05010002c00002070050]`, welcome + reply5('08')],
    ['user and password alone', '[050102]', '05ff'],
    ['no method', '[0500]', '05ff'],
    ['port 0', `${hello}[05010001c00002070000]`, welcome + reply5('01')],
    ['an empty name', `${hello}[05010003000050]`, welcome + reply5('01')],
    ['a name with a zero', `${hello}[0501000303]a[00]b[0050]`, welcome + reply5('01')],
    ['a name with a line feed', `${hello}[0501000303]a[0a]b[0050]`, welcome + reply5('01')],
    ['a name with a blank', `${hello}[0501000303]a b[0050]`, welcome + reply5('01')],
    ['a name beyond ASCII', `${hello}[0501000302c3a40050]`, welcome + reply5('01')],
    ['a name like an option', `${hello}[0501000302]-o[0050]`, welcome + reply5('01')],
    ['an empty name in SOCKS 4a', '[04010050000000010000]', rejected4],
    ['a name with an escape in SOCKS 4a', '[040100500000000100]a[1b]b[00]', rejected4],
    ['a name like an option in SOCKS 4a', '[040100500000000100]-o[00]', rejected4],
  ])('%s', async (_what, request, reply) => {
    const server = fakeServer(echoAtEnd)
    const forward = await forwards.open('dynamic', '0', server)
    const socket = visit(forward)
    // More than is read, and left unread: the reply arrives all the same.
    socket.write(bytes(request))
    socket.end(Buffer.alloc(100_000))
    expect((await buffer(socket)).toString('hex')).toBe(reply)
    expect(server.asked.direct).toEqual([])
    await until(() => forward.counters.open === 0)
    expect(forward.counters.lastError).toBe('what came in at the SOCKS proxy is not carried')
  })

  test.each([
    ['refused', '', '02'],
    ['unreachable', 'Connection refused', '05'],
    ['unreachable', 'Network is unreachable', '03'],
    ['unreachable', 'No route to host', '04'],
    ['unreachable', 'Name or service not known', '04'],
    ['unreachable', 'Connection timed out', '04'],
    ['unreachable', '', '04'],
    ['failed', '', '01'],
  ] as const)('a target that is %s (%s): %s', async (code, reason, reply) => {
    const refuse = () => Promise.reject(new KeytoolError(code, 'not there', { reason }))
    const requests = [
      [hello + resolved, welcome + reply5(reply)],
      ['[04010050c000020700]', rejected4],
    ] as const
    for (const [request, answer] of requests) {
      const forward = await forwards.open('dynamic', '0', fakeServer(refuse))
      const socket = visit(forward)
      socket.end(bytes(request))
      expect((await buffer(socket)).toString('hex')).toBe(answer)
      expect(forward.counters.lastError).toBe('not there')
    }
  })

  test('a refused client that stays is sent away', async () => {
    const [near, far] = pair()
    far.write(bytes(`${hello}[05020001c00002070050]`))
    const served = speakSocks(near, () => Promise.resolve(new PassThrough()), { request: 1000, farewell: 20 })
    await expect(served).rejects.toMatchObject({
      code: 'unsupported',
    })
    await new Promise(resolve => near.once('close', resolve))
  })
})

describe('is closed without a word', () => {
  test.each([
    ['HTTP', 'GET / HTTP/1.1[0d0a]Host: 127.0.0.1[0d0a0d0a]', 'it does not speak SOCKS'],
    ['a page’s POST', 'POST /x HTTP/1.1[0d0a0d0a]', 'it does not speak SOCKS'],
    ['CONNECT', 'CONNECT a:1 HTTP/1.1[0d0a0d0a]', 'it does not speak SOCKS'],
    ['TLS', '[160301]', 'it does not speak SOCKS'],
    ['SSH', 'SSH-2.0-x[0d0a]', 'it does not speak SOCKS'],
    ['a version of nobody', '[060100]', 'it does not speak SOCKS'],
    ['version 0', '[00]', 'it does not speak SOCKS'],
    ['a version that changes', `${hello}[04010001c00002070050]`, 'it does not speak SOCKS'],
    ['a user without end', `[0401006ec0000207]${name255}aaaa`, 'a name in it is too long'],
    ['a name without end', `[0401006e0000000100]${name255}aaaa`, 'a name in it is too long'],
  ])('%s', async (_what, request, reason) => {
    const server = fakeServer(echoAtEnd)
    const troubles: unknown[] = []
    const forward = await forwards.open('dynamic', '0', server, { onTrouble: error => troubles.push(error) })
    const socket = visit(forward)
    const ended = endOf(socket)
    socket.write(bytes(request))
    expect(await ended).toBe('ECONNRESET')
    expect(troubles).toMatchObject([{ code: 'damaged', reason }])
    expect(server.asked.direct).toEqual([])
  })

  test.each([
    '[05]',
    '[0502]',
    '[050200]',
    hello,
    `${hello}[0501]`,
    `${hello}[0501000308]mail`,
    '[04]',
    '[0401006ec0000207]h',
  ])('what ends after %s', async request => {
    const troubles: unknown[] = []
    const forward = await forwards.open('dynamic', '0', fakeServer(), { onTrouble: error => troubles.push(error) })
    const socket = visit(forward)
    const ended = endOf(socket)
    socket.end(bytes(request))
    expect(await ended).toBe('ECONNRESET')
    expect(troubles).toMatchObject([{ code: 'damaged', reason: 'it ends in the middle of its request' }])
  })

  test('who comes and goes: nothing is said of it', async () => {
    const troubles: unknown[] = []
    const forward = await forwards.open('dynamic', '0', fakeServer(), { onTrouble: error => troubles.push(error) })
    const socket = visit(forward)
    socket.end()
    expect(await endOf(socket)).toBe('end')
    await until(() => forward.counters.open === 0)
    expect(troubles).toEqual([])
    expect(forward.counters.lastError).toBeUndefined()
  })

  test('who sends its request too slowly', async () => {
    const [near, far] = pair()
    far.write(bytes('[0501]'))
    await expect(
      speakSocks(near, () => Promise.resolve(new PassThrough()), { request: 20, farewell: 20 }),
    ).rejects.toMatchObject({
      code: 'damaged',
      reason: 'no request came within 0.02 s',
    })
    // Whoever called may close it now: it has not ended.
    expect(near.writableEnded).toBe(false)
  })
})

test('who leaves while its target is reached takes the channel along', async () => {
  const channel = new PassThrough()
  let reach: (channel: Duplex) => void = () => {}
  const reached = new Promise<Duplex>(resolve => {
    reach = resolve
  })
  const server = fakeServer(() => reached)
  const forward = await forwards.open('dynamic', '0', server)
  const socket: Socket = visit(forward)
  socket.write(bytes('[0401006ec000020700]'))
  await until(() => server.asked.direct.length === 1)
  socket.resetAndDestroy()
  await until(() => forward.counters.open === 0)
  reach(channel)
  await until(() => channel.destroyed)
})

test('a channel that breaks after the reply is a reset', async () => {
  const [near, far] = pair()
  const forward = await forwards.open(
    'dynamic',
    '0',
    fakeServer(() => near),
  )
  const socket = visit(forward)
  socket.write(bytes('[0401006ec000020700]'))
  await once(socket, 'data')
  const ended = endOf(socket)
  far.destroy()
  expect(await ended).toBe('ECONNRESET')
})

describe('the server’s side speaks SOCKS, as with ssh -R port', () => {
  test('dials here, and refuses in the protocol', async () => {
    const server = fakeServer()
    const forward = await forwards.open('remote', '0', server)
    await forward.attach(server.connection)
    expect(server.asked.listen).toEqual([{ host: 'localhost', port: 0 }])
    const { far, outcome } = server.arrive()
    // Nobody listens on port 1 here.
    far.end(bytes(`${hello}[050100017f0000010001]`))
    expect(await outcome).toBe('accepted')
    expect((await buffer(far)).toString('hex')).toBe(welcome + reply5('05'))
    await until(() => forward.counters.lastError === '127.0.0.1:1 refuses the connection')
  })

  test('cuts what is no SOCKS', async () => {
    const server = fakeServer()
    const forward = await forwards.open('remote', '0', server)
    await forward.attach(server.connection)
    const { far } = server.arrive()
    far.write('GET / HTTP/1.0\r\n\r\n')
    const [error] = await once(far, 'error')
    expect(error).toMatchObject({ code: 'unreachable' })
    await until(() => forward.counters.open === 0)
  })
})

test.each([
  ['ECONNREFUSED', 'refused'],
  ['ENETUNREACH', 'no-network'],
  ['EHOSTUNREACH', 'no-host'],
  ['ENOTFOUND', 'no-host'],
] as const)('%s, dialled here, is %s', (code, outcome) => {
  const unreachable: ErrorCode = 'unreachable'
  expect(outcomeOf(new KeytoolError(unreachable, 'x', { cause: { code } }))).toBe(outcome)
  expect(outcomeOf(new TypeError('x'))).toBe('failed')
})
