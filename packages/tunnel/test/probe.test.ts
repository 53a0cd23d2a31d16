import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { Duplex, PassThrough } from 'node:stream'
import { KeytoolError } from '@keytool/keygen'
import { type ProbeKind, probeKindFor } from '../src/probe/kinds.js'
import { probe } from '../src/probe/probe.js'
import { systemClock } from '../src/supervisor/clock.js'
import { until } from './forwards-fake.js'
import { FakeClock, settle } from './supervisor-fakes.js'

const servers: Server[] = []
const sockets = new Set<Socket>()

afterEach(() => {
  for (const socket of sockets) socket.destroy()
  for (const server of servers.splice(0)) server.close()
})

/** A server on 127.0.0.1, what it was told, and how each of its connections ended. */
async function serve(
  greet: (socket: Socket) => void,
  answer: (socket: Socket, text: string) => void = socket => socket.end(),
) {
  const heard: string[] = []
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.setEncoding('latin1').on('data', (text: string) => {
      heard.push(text)
      answer(socket, text)
    })
    greet(socket)
  }).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const open = async (): Promise<Socket> => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    await once(socket, 'connect')
    return socket
  }
  return { heard, open }
}

function look(kind: ProbeKind, open: () => Promise<Duplex>) {
  return probe({ kind, open, clock: systemClock })
}

test.each([
  [25, 'smtp'],
  [587, 'smtp'],
  [110, 'pop3'],
  [143, 'imap'],
  [465, 'smtps'],
  [995, 'pop3s'],
  [993, 'imaps'],
  [22, 'tcp'],
  [2525, 'tcp'],
] as const)('port %i is taken for %s', (port, kind) => {
  expect(probeKindFor(port)).toBe(kind)
})

describe('alive, and left politely', () => {
  test.each<[ProbeKind, string, string, string]>([
    ['smtp', '220 mail.example ESMTP\r\n', 'QUIT\r\n', '220 mail.example ESMTP'],
    ['smtp', '220-mail.example ESMTP\r\n220-no spam\r\n220 please\r\n', 'QUIT\r\n', '220-mail.example ESMTP'],
    ['smtp', '220\r\n', 'QUIT\r\n', '220'],
    [
      'pop3',
      '+OK Dovecot ready. <1896.697170952@dbc.mtview.ca.us>\r\n',
      'QUIT\r\n',
      '+OK Dovecot ready. <1896.697170952@dbc.mtview.ca.us>',
    ],
    ['pop3', '+OK\n', 'QUIT\r\n', '+OK'],
    ['imap', '* OK [CAPABILITY IMAP4rev1] ready\r\n', 'k LOGOUT\r\n', '* OK [CAPABILITY IMAP4rev1] ready'],
    ['imap', '* PREAUTH welcome\r\n', 'k LOGOUT\r\n', '* PREAUTH welcome'],
  ])('%s: %j', async (kind, greeting, goodbye, banner) => {
    const { heard, open } = await serve(socket => socket.write(greeting))
    expect(await look(kind, open)).toBe(banner)
    expect(heard).toEqual([goodbye])
  })

  test('a greeting that comes in pieces is not answered before its end', async () => {
    const { heard, open } = await serve(async socket => {
      for (const piece of ['22', '0-a\r', '\n220', ' b', '\r\n']) {
        expect(heard).toEqual([])
        socket.write(piece)
        await new Promise(resolve => setTimeout(resolve, 5))
      }
    })
    expect(await look('smtp', open)).toBe('220-a')
    expect(heard).toEqual(['QUIT\r\n'])
  })

  test('a greeting without end has said enough', async () => {
    const { heard, open } = await serve(socket => {
      for (let i = 0; i < 100; i++) socket.write(`220-line ${i} of legal notice\r\n`)
    })
    expect(await look('smtp', open)).toBe('220-line 0 of legal notice')
    expect(heard).toEqual([])
  })

  test('what it says is escaped and cut', async () => {
    const { open } = await serve(socket => socket.write(`220 \u001b]0;owned\u0007${'x'.repeat(500)}\r\n`))
    const banner = await look('smtp', open)
    expect(banner).toMatch(/^220 \\u\{1b\}\]0;owned\\u\{7\}x+…$/)
    expect(banner?.length).toBeLessThan(150)
  })

  test('tcp: nobody says a word, and the connection is closed', async () => {
    const ended: Promise<unknown>[] = []
    const { heard, open } = await serve(socket => {
      ended.push(once(socket, 'close'))
      socket.resume()
    })
    expect(await look('tcp', open)).toBeUndefined()
    await Promise.all(ended)
    expect(ended).toHaveLength(1)
    expect(heard).toEqual([])
  })

  test('one that does not answer the goodbye is left all the same', async () => {
    const clock = new FakeClock()
    const stream = new PassThrough()
    const looked = probe({
      kind: 'pop3',
      open: async () => Duplex.from({ readable: stream, writable: new PassThrough() }),
      clock,
    })
    stream.write('+OK\r\n')
    await clock.pass(2_000)
    expect(await looked).toBe('+OK')
    expect(clock.pending).toBe(0)
  })
})

describe('dead', () => {
  test.each<[ProbeKind, string, string]>([
    ['smtp', '554 no service here\r\n', 'it says 554 no service here'],
    ['smtp', '421-too busy\r\n', 'it says 421-too busy'],
    ['smtp', 'SSH-2.0-OpenSSH_10.0\r\n', 'it says SSH-2.0-OpenSSH_10.0'],
    ['smtp', '2200 x\r\n', 'it says 2200 x'],
    ['pop3', '-ERR locked\r\n', 'it says -ERR locked'],
    ['imap', '* BYE overloaded\r\n', 'it says * BYE overloaded'],
    ['imap', '\r\n', 'it says nothing'],
  ])('%s: %j', async (kind, greeting, reason) => {
    const { heard, open } = await serve(socket => socket.write(greeting))
    await expect(look(kind, open)).rejects.toMatchObject({ code: 'damaged', reason })
    expect(heard).toEqual([])
  })

  test('a line without end', async () => {
    const { open } = await serve(socket => socket.write('x'.repeat(100_000)))
    await expect(look('pop3', open)).rejects.toMatchObject({ code: 'damaged' })
  })

  test('one that hangs up', async () => {
    const { open } = await serve(socket => socket.end('22'))
    await expect(look('smtp', open)).rejects.toMatchObject({
      code: 'unreachable',
      message: 'it hangs up without a greeting',
    })
  })

  test('one that breaks off', async () => {
    let theirs: Socket | undefined
    const { open } = await serve(socket => {
      theirs = socket
      socket.write('22')
    })
    const opened = async () => {
      const ours = await open()
      // A reset that comes together with data is read as an end.
      void until(() => ours.bytesRead === 2).then(() => theirs?.resetAndDestroy())
      return ours
    }
    await expect(look('smtp', opened)).rejects.toMatchObject({
      code: 'unreachable',
      message: 'it breaks off without a greeting',
    })
  })

  test('one that can not be reached: as the server says', async () => {
    const error = new KeytoolError('unreachable', "the server can't reach a:25")
    await expect(look('smtp', () => Promise.reject(error))).rejects.toBe(error)
  })

  test('one that keeps silent, after ten seconds', async () => {
    const clock = new FakeClock()
    const stream = new PassThrough()
    const looked = probe({ kind: 'smtp', open: async () => stream, clock })
    looked.catch(() => {})
    await clock.pass(9_999)
    expect(stream.destroyed).toBe(false)
    await clock.pass(1)
    await expect(looked).rejects.toMatchObject({ code: 'unreachable', reason: 'waited 10 s' })
    expect(stream.destroyed).toBe(true)
    expect(clock.pending).toBe(0)
  })

  test('one whose stream comes too late: it is closed', async () => {
    const clock = new FakeClock()
    let arrive: (stream: Duplex) => void = () => {}
    const open = () =>
      new Promise<Duplex>(resolve => {
        arrive = resolve
      })
    const looked = probe({ kind: 'tcp', open, clock })
    looked.catch(() => {})
    await clock.pass(10_000)
    await expect(looked).rejects.toMatchObject({ code: 'unreachable' })
    const stream = new PassThrough()
    arrive(stream)
    await settle()
    expect(stream.destroyed).toBe(true)
  })

  test('it can be called off', async () => {
    const clock = new FakeClock()
    const stream = new PassThrough()
    const end = new AbortController()
    const looked = probe({ kind: 'smtp', open: async () => stream, clock, signal: end.signal })
    looked.catch(() => {})
    await settle()
    end.abort()
    await expect(looked).rejects.toMatchObject({ code: 'cancelled' })
    expect([stream.destroyed, clock.pending]).toEqual([true, 0])
    const never = probe({ kind: 'tcp', open: async () => new PassThrough(), clock, signal: end.signal })
    await expect(never).rejects.toMatchObject({ code: 'cancelled' })
  })
})
