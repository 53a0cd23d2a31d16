import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate, KeytoolError, type PrivateKey, type Signer } from '@keytool/keygen'
import type ssh2 from 'ssh2'
import type { PasswordPrompt } from '../src/connection/auth.js'
import { type ConnectOptions, connect } from '../src/connection/connect.js'
import { dial } from '../src/connection/dial.js'
import { signAsAsked } from '../src/connection/signing.js'
import { Servers } from './servers.js'

// The engine against servers that ask, cheat, stammer and fall silent.

let home: string
let key: PrivateKey
let servers: Servers

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
  key = await generate('ed25519')
  servers = new Servers(home)
})

afterEach(() => servers.close())

afterAll(() => rm(home, { recursive: true }))

function to(port: number, more: Partial<ConnectOptions> = {}): ConnectOptions {
  return servers.to(port, { signers: [key], ...more })
}

describe('a server that asks questions', () => {
  test('gets the answers; its words are escaped', async () => {
    const port = await servers.ssh(context => {
      if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive', 'password'])
      const prompts = [
        { prompt: 'Password: ', echo: false },
        { prompt: 'Code\u001b[2J\u202e: ', echo: true },
      ]
      context.prompt(prompts, 'title', 'instructions', answers => {
        if (answers.join() === 'pw,42') context.accept()
        else context.reject(['keyboard-interactive'])
      })
    })
    const asked: PasswordPrompt[] = []
    const answers = ['pw', Buffer.from('41'), 'pw', Buffer.from('42')]
    const askPassword = async (prompt: PasswordPrompt) => {
      asked.push(prompt)
      return answers.shift() ?? ''
    }
    const connection = await connect(to(port, { askPassword }))
    expect(connection.admission).toEqual({
      method: 'keyboard-interactive',
      offered: ['keyboard-interactive', 'password'],
    })
    expect(asked.map(({ text, echo, attempt }) => [text, echo, attempt])).toEqual([
      ['Password:', false, 1],
      ['Code\\u{1b}[2J\\u{202e}:', true, 1],
      ['Password:', false, 2],
      ['Code\\u{1b}[2J\\u{202e}:', true, 2],
    ])
    await connection.close()
  })

  test('three wrong answers', async () => {
    const port = await servers.ssh(context => {
      if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive'])
      context.prompt([{ prompt: 'Password: ', echo: false }], () => context.reject(['keyboard-interactive']))
    })
    let asked = 0
    const failure = connect(to(port, { askPassword: async () => String(++asked) }))
    await expect(failure).rejects.toMatchObject({ code: 'secret-wrong', reason: 'it offers keyboard-interactive' })
    expect(asked).toBe(3)
  })

  test('without end', async () => {
    const port = await servers.ssh(context => {
      if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive'])
      const again = () => context.prompt([{ prompt: 'More: ', echo: false }], again)
      again()
    })
    const failure = connect(to(port, { askPassword: async () => 'x' }))
    await expect(failure).rejects.toMatchObject({ code: 'damaged', message: expect.stringContaining('without end') })
  })

  test('without end, and without a question', async () => {
    const port = await servers.ssh(context => {
      if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive'])
      const again = () => setTimeout(() => context.prompt([], again), 5)
      again()
    })
    const failure = connect(to(port, { askPassword: async () => 'x', stepTime: 300 }))
    await expect(failure).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('does not answer'),
    })
  })

  test('the user’s own time does not count, and giving up is handed on', async () => {
    const port = await servers.ssh(context => {
      if (context.method === 'password' && context.password === 'pw') context.accept()
      else context.reject(['password'])
    })
    const slow = async () => {
      await new Promise(resolve => setTimeout(resolve, 2_500))
      return 'pw'
    }
    const connection = await connect(to(port, { askPassword: slow, stepTime: 2_000 }))
    await connection.close()
    const cancelled = new KeytoolError('cancelled', 'Ctrl-C')
    await expect(connect(to(port, { askPassword: () => Promise.reject(cancelled) }))).rejects.toBe(cancelled)
  })

  test('for a key and then a password', async () => {
    const port = await servers.ssh(context => {
      if (context.method === 'publickey') {
        if (context.signature) context.reject(['password'], true)
        else context.accept()
      } else if (context.method === 'password' && context.password === 'pw') context.accept()
      else context.reject(['publickey'])
    })
    const connection = await connect(to(port, { askPassword: async () => 'pw' }))
    expect(connection.admission).toEqual({ method: 'password', offered: ['publickey'] })
    await connection.close()
    await expect(connect(to(port))).rejects.toMatchObject({ code: 'secret-wrong' })
  })

  test('for a new password', async () => {
    const port = await servers.ssh(context => {
      if (context.method !== 'password') return context.reject(['password'])
      context.requestChange('Change it', () => {})
    })
    await expect(connect(to(port, { askPassword: async () => 'pw' }))).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('password changed'),
    })
  })

  test('for no key at all, when there are only keys', async () => {
    const port = await servers.ssh(context => context.reject(['hostbased']))
    await expect(connect(to(port))).rejects.toMatchObject({ code: 'secret-needed', reason: 'it offers hostbased' })
  })
})

describe('a signer', () => {
  const takesKeys = (context: ssh2.AuthContext) => {
    if (context.method === 'publickey') context.accept()
    else context.reject(['publickey'])
  }
  const failing = (sign: Signer['sign']): Signer => ({ publicKey: key.publicKey, sign })

  test('that refuses is passed over; alone, its reason is the answer', async () => {
    const port = await servers.ssh(takesKeys)
    const locked = failing(() => Promise.reject(new KeytoolError('refused', 'the agent is locked')))
    await expect(connect(to(port, { signers: [locked] }))).rejects.toMatchObject({
      code: 'refused',
      message: 'the agent is locked',
    })
    await (await connect(to(port, { signers: [locked, key] }))).close()
  })

  test('that signs otherwise than asked is not believed', async () => {
    const port = await servers.ssh(takesKeys)
    const odd = failing(async () => ({ scheme: 'ssh-rsa', blob: Buffer.alloc(64) }))
    await expect(connect(to(port, { signers: [odd] }))).rejects.toMatchObject({ code: 'failed' })
  })

  test('is waited for, until that is cancelled', async () => {
    const port = await servers.ssh(takesKeys)
    const stop = new AbortController()
    const waiting = failing(() => {
      setTimeout(() => stop.abort(), 50)
      return new Promise(() => {})
    })
    const failure = connect(to(port, { signers: [waiting], signal: stop.signal, stepTime: 20_000 }))
    await expect(failure).rejects.toMatchObject({ code: 'cancelled' })
  })

  test('with RSA is asked for SHA-2', async () => {
    const rsa = await generate('rsa', { bits: 2048 })
    const port = await servers.ssh(takesKeys)
    const hashes: unknown[] = []
    const watched: Signer = {
      publicKey: rsa.publicKey,
      sign(data, options) {
        hashes.push(options?.hash)
        return rsa.sign(data, options)
      },
    }
    await (await connect(to(port, { signers: [watched] }))).close()
    expect(hashes).toEqual(['sha256'])
  })
})

test('nobody signs with SHA-1', async () => {
  const rsa = await generate('rsa', { bits: 2048 })
  await expect(signAsAsked(rsa, Buffer.of(1), 'sha1')).rejects.toMatchObject({ code: 'unsupported' })
})

describe('what does not speak SSH', () => {
  test.each([
    ['a web server', 'HTTP/1.1 400 Bad Request\r\n\r\n', true, 'HTTP/1.1 400 Bad Request'],
    ['SSH 1', 'SSH-1.5-old\r\n', true, 'SSH-1.5-old'],
    ['a line without end', 'x'.repeat(100_000), true, `${'x'.repeat(80)}…`],
    ['lines without end', 'hello\r\n'.repeat(5000), true, 'hello'],
    ['a mail server that waits', '220 mail.example \u001b[2J\r\n', false, '220 mail.example \\u{1b}[2J'],
  ])('%s', async (_what, text, ends, said) => {
    const port = await servers.raw(socket => {
      socket.write(text)
      if (ends) socket.end()
    })
    await expect(connect(to(port, { stepTime: 1_000 }))).rejects.toMatchObject({
      code: 'damaged',
      message: `what answers at 127.0.0.1:${port} does not speak SSH`,
      reason: `it says ${said}`,
    })
  })

  // sshd, in place of its identification.
  test.each([
    ['Exceeded MaxStartups', /MaxStartups/],
    ['Not allowed at this time', /PerSourcePenalties/],
  ])('%s: it can be tried again', async (words, reason) => {
    const port = await servers.raw(socket => socket.end(`${words}\r\n`))
    await expect(connect(to(port))).rejects.toMatchObject({
      code: 'unreachable',
      message: `127.0.0.1:${port} turns connections away`,
      reason: expect.stringMatching(reason),
    })
  })

  test.each([
    ['hangs up at once', (socket: Socket) => socket.end(), 'hangs up'],
    ['says nothing', () => {}, 'does not answer'],
    ['falls silent after its name', (socket: Socket) => socket.write('SSH-2.0-x\r\n'), 'does not answer'],
    ['falls silent within its name', (socket: Socket) => socket.write('SSH-2.0-x'), 'does not answer'],
    ['leaves within its name', (socket: Socket) => socket.end('SSH-2'), 'closed the connection'],
  ])('a server that %s', async (_what, serve, message) => {
    const port = await servers.raw(serve)
    await expect(connect(to(port, { handshakeTime: 1_000 }))).rejects.toMatchObject({
      code: 'unreachable',
      message: `127.0.0.1:${port} ${message}`,
    })
  })

  test('noise after the greeting ends the connection, never the process', async () => {
    const port = await servers.raw(socket => {
      socket.write('SSH-2.0-noise\r\n')
      socket.write(randomBytes(1 + (randomBytes(1)[0] ?? 0) * 16))
      socket.end()
    })
    for (let i = 0; i < 50; i++) {
      await expect(connect(to(port, { stepTime: 500 }))).rejects.toMatchObject({
        code: expect.stringMatching(/^(damaged|unreachable)$/),
      })
    }
  })

  test('a server with old algorithms only', async () => {
    const algorithms = { kex: ['diffie-hellman-group14-sha1' as const] }
    const port = await servers.ssh(context => context.accept(), undefined, { algorithms })
    await expect(connect(to(port))).rejects.toMatchObject({ code: 'unsupported' })
  })
})

test('nobody there', async () => {
  const port = await servers.raw(() => {})
  servers.close()
  await expect(dial({ host: '127.0.0.1', port })).rejects.toMatchObject({
    code: 'unreachable',
    message: `127.0.0.1:${port} refuses the connection`,
  })
  await expect(dial({ host: 'no-such-host.invalid', port: 22 })).rejects.toMatchObject({ code: 'unreachable' })
})

test('a dial that is cancelled', async () => {
  const signal = AbortSignal.abort()
  await expect(dial({ host: '127.0.0.1', port: 1, signal })).rejects.toMatchObject({ code: 'cancelled' })
})

describe('a channel', () => {
  /** Opens one to a server that does with it as `serve` says. */
  async function open(serve: (channel: ssh2.ServerChannel) => void, reads = true) {
    const port = await servers.ssh(
      context => context.accept(),
      client => client.on('tcpip', accept => serve(accept())),
    )
    const connection = await connect(to(port))
    const stream = await connection.openDirect('a', 1, { host: '127.0.0.1', port: 1 })
    let told = ''
    if (reads) {
      stream.on('data', chunk => {
        told += chunk
      })
    }
    const ended = new Promise<string>(resolve => {
      stream.on('end', () => resolve('end'))
      stream.on('error', error => resolve(error.message))
    })
    return { connection, stream, ended, told: () => told }
  }

  test('that is ended is an end, and goes on the other way', async () => {
    let received = ''
    let farEnd: Promise<unknown> = Promise.resolve()
    const { connection, stream, ended, told } = await open(channel => {
      channel.on('data', (chunk: Buffer) => {
        received += chunk
      })
      farEnd = once(channel, 'end')
      channel.write('all of it')
      channel.eof()
    })
    expect(await ended).toBe('end')
    expect(told()).toBe('all of it')
    stream.end('and back')
    await farEnd
    expect(received).toBe('and back')
    await connection.close()
  })

  test('that is closed without an end was cut', async () => {
    const { connection, ended, told } = await open(channel => {
      channel.write('half of i')
      channel.close()
    })
    expect(await ended).toBe('the connection was cut by the far side')
    expect(told()).toBe('half of i')
    await connection.close()
  })

  test('that floods us is cut, whatever its window', async () => {
    const { connection, ended } = await open(channel => {
      const generous = channel as unknown as { outgoing: { window: number } }
      generous.outgoing.window = 64 * 1024 * 1024
      // Odd numbers: the engine by itself drops what comes at a window of exactly 0, and nothing else.
      for (let i = 0; i < 500; i++) channel.write(Buffer.alloc(30_001))
    }, false)
    expect(await ended).toBe('the server sends more than it may')
    await connection.close()
  })

  test('is cut when the connection closes', async () => {
    const { connection, ended } = await open(() => {})
    await connection.close()
    expect(await ended).toBe('the connection was closed')
  })

  test('is refused with the server’s reason', async () => {
    const port = await servers.ssh(
      context => context.accept(),
      client => client.on('tcpip', (_accept, reject) => reject()),
    )
    const connection = await connect(to(port))
    await expect(connection.openDirect('a', 1, { host: '127.0.0.1', port: 1 })).rejects.toMatchObject({
      code: expect.stringMatching(/^(unreachable|refused)$/),
    })
    await connection.close()
    await expect(connection.openDirect('a', 1, { host: '127.0.0.1', port: 1 })).rejects.toMatchObject({
      code: 'unreachable',
    })
  })
})

test('a server that no longer answers is lost after some signs of life', async () => {
  let freeze = () => {}
  const server = await servers.ssh(context => context.accept())
  // A wire that is cut without a word: bytes no longer pass, and nobody closes anything.
  const wire = await servers.raw(socket => {
    const upstream = dial({ host: '127.0.0.1', port: server })
    upstream.then(far => {
      far.on('close', () => socket.destroy())
      socket.on('close', () => far.destroy())
      socket.pipe(far).pipe(socket)
      freeze = () => {
        far.unpipe(socket)
        socket.unpipe(far)
      }
    })
  })
  const connection = await connect(to(wire, { keepalive: { interval: 50, count: 2 } }))
  freeze()
  expect(await connection.closed).toMatchObject({
    code: 'unreachable',
    message: `127.0.0.1:${wire} no longer answers`,
  })
})
