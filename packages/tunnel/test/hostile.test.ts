import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect as connectSocket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from '@keytool/keygen'
import type ssh2 from 'ssh2'
import type { PasswordPrompt } from '../src/connection/auth.js'
import { connect } from '../src/connection/connect.js'
import type { Connection } from '../src/connection/connection.js'
import { openForward } from '../src/forwards/open.js'
import { until } from './forwards-fake.js'
import { beneath, onChannel, Servers, say } from './servers.js'

// Servers that speak SSH well, and use it to do harm.

const OPEN_CONFIRMATION = 91
const EXTENDED_DATA = 95
const EOF = 96
const CLOSE = 97
const CHANNEL_REQUEST = 98
const SUCCESS = 99
const AUTH_FAILURE = 51
const PK_OK = 60
const GLOBAL_REQUEST = 80
const STDERR = 1

const origin = { host: '127.0.0.1', port: 1 }

let home: string
let servers: Servers

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'kt-'))
  servers = new Servers(home)
})

afterEach(() => servers.close())

afterAll(() => rm(home, { recursive: true }))

/** Logged in to a server that then does as `serve` says. */
async function visit(serve: (client: ssh2.Connection) => void): Promise<Connection> {
  const port = await servers.ssh(context => context.accept(), serve)
  return await connect(servers.to(port))
}

/** Logged in to a server that answers to every channel with these messages, in one segment. */
function visitChannels(
  ...messages: ((sender: number) => readonly (number | string | Buffer)[])[]
): Promise<Connection> {
  return visit(client => onChannel(client, sender => say(client, ...messages.map(make => make(sender)))))
}

const confirm =
  (packet = 32_768, window = 1 << 20) =>
  (sender: number) =>
    [OPEN_CONFIRMATION, sender, 7, window, packet] as const

describe('packets of next to nothing', () => {
  test.each([0, 1, 1023])('%i bytes: no such channel', async size => {
    const connection = await visitChannels(confirm(size), sender => [SUCCESS, sender])
    const damaged = { code: 'damaged', reason: `it takes packets of ${size} bytes` }
    await expect(connection.openDirect('a', 1, origin)).rejects.toMatchObject(damaged)
    await expect(connection.exec('true', { stdin: Buffer.of(1) })).rejects.toMatchObject(damaged)
    await connection.close()
  })

  test('1024 bytes will do', async () => {
    const connection = await visitChannels(confirm(1024))
    const stream = await connection.openDirect('a', 1, origin)
    await new Promise(resolve => stream.write(Buffer.alloc(100_000), resolve))
    await connection.close()
  })
})

describe('a channel that is opened and closed at once', () => {
  const closed = () => visitChannels(confirm(), sender => [CLOSE, sender])

  test('is a stream that was cut', async () => {
    const connection = await closed()
    const stream = await connection.openDirect('a', 1, origin)
    // Whoever comes late to listen finds it cut all the same.
    await until(() => stream.destroyed)
    await connection.close()
  })

  test('resets what came through a forward, and the forward goes on', async () => {
    const connection = await closed()
    const spec = { kind: 'local', listen: { port: 0 }, to: { host: 'a', port: 1 } } as const
    const openDirect = async (host: string, port: number) => {
      const stream = await connection.openDirect(host, port, origin)
      await new Promise(resolve => setTimeout(resolve, 20))
      return stream
    }
    for (const carrier of [connection, { ...connection, openDirect }]) {
      const forward = await openForward(spec, { link: { connection: async () => carrier } })
      const socket = connectSocket(forward.port ?? 0, '127.0.0.1')
      const [error] = await once(socket, 'error')
      expect(error).toMatchObject({ code: 'ECONNRESET' })
      expect(forward.counters).toMatchObject({ lastError: 'the connection was cut by the far side', connections: 1 })
      await forward.close()
    }
    await connection.close()
  })
})

test('words after the end of a channel are dropped', async () => {
  const late = (sender: number) => [EXTENDED_DATA, sender, STDERR, 'late'] as const
  const end = (sender: number) => [EOF, sender] as const
  const connection = await visitChannels(confirm(), end, late, late, sender => [CLOSE, sender])
  const stream = await connection.openDirect('a', 1, origin)
  await once(stream.resume(), 'close')
  await expect(connection.exec('true')).rejects.toMatchObject({ code: 'refused' })
  await connection.close()
})

test('host keys shown again and again are not asked about', async () => {
  let questions = 0
  const connection = await visit(client => {
    const request = [GLOBAL_REQUEST, 'hostkeys-00@openssh.com', Buffer.of(1)]
    beneath(client)._protocol._handlers.GLOBAL_REQUEST = () => {
      questions++
    }
    say(client, ...Array.from({ length: 10 }, () => request))
  })
  // Its own answer comes behind any question.
  await expect(connection.exec('true')).rejects.toMatchObject({ code: 'refused' })
  await connection.close()
  expect(questions).toBe(0)
})

test('a command whose whole answer comes at once has its status', async () => {
  const status = (sender: number) => [CHANNEL_REQUEST, sender, 'exit-status', Buffer.of(0), 3] as const
  const done = [(n: number) => [SUCCESS, n] as const, status, (n: number) => [CLOSE, n] as const]
  const connection = await visitChannels(confirm(), ...done)
  expect(await connection.exec('true')).toMatchObject({ status: 3 })
  await connection.close()
})

describe('a login that never ends', () => {
  /** Every attempt is half right. Tells what was sent. */
  async function halfRight(methods: ssh2.AuthenticationType[]) {
    const sent: string[] = []
    const port = await servers.ssh(context => {
      if (context.method !== 'none') sent.push(context.method)
      if (sent.length > 50) return context.accept()
      if (context.method === 'publickey' && !context.signature) return context.accept()
      if (context.method !== 'keyboard-interactive') return context.reject(methods, true)
      context.prompt([{ prompt: 'Password: ', echo: false }], () => context.reject(methods, true))
    })
    const asked: PasswordPrompt[] = []
    const askPassword = async (prompt: PasswordPrompt) => {
      asked.push(prompt)
      return 'pw'
    }
    return { port, sent, asked, askPassword }
  }

  test('a password that was right once is not sent again', async () => {
    const { port, sent, askPassword } = await halfRight(['password'])
    await expect(connect(servers.to(port, { askPassword }))).rejects.toMatchObject({
      code: 'secret-wrong',
      message: '127.0.0.1 took the password of hana, and wants more',
      reason: 'it offers password',
    })
    expect(sent).toEqual(['password'])
  })

  test('each method is right once at most, each key is offered once', async () => {
    const { port, sent, asked, askPassword } = await halfRight(['publickey', 'keyboard-interactive', 'password'])
    const signers = await Promise.all([generate('ed25519'), generate('ed25519')])
    await expect(connect(servers.to(port, { askPassword, signers }))).rejects.toMatchObject({ code: 'secret-wrong' })
    expect(sent.filter(method => method !== 'publickey')).toEqual(['keyboard-interactive', 'password'])
    expect(asked.map(({ kind, attempt }) => [kind, attempt])).toEqual([
      ['keyboard-interactive', 1],
      ['password', 1],
    ])
  })

  test('a key signs once', async () => {
    const key = await generate('ed25519')
    let signed = 0
    const signer = {
      publicKey: key.publicKey,
      sign(data: Uint8Array) {
        signed++
        return key.sign(data)
      },
    }
    const port = await servers.ssh((context, client) => {
      if (context.method !== 'publickey') return context.reject(['publickey'])
      if (!context.signature) return context.accept()
      const { algo, data } = context.key
      const again = () => say(client, [PK_OK, algo, data.toString('latin1')])
      for (let i = 0; i < 5; i++) setTimeout(again, 20 * i)
    })
    const failure = connect(servers.to(port, { signers: [signer] }))
    await expect(failure).rejects.toMatchObject({
      code: 'damaged',
      message: `127.0.0.1:${port} asks for the same signature twice`,
    })
    expect(signed).toBe(1)
  })

  test('an answer nobody waits for is no reason to ask the user twice at once', async () => {
    const port = await servers.ssh((context, client) => {
      context.reject(['password'])
      say(client, [AUTH_FAILURE, 'password', Buffer.of(0)])
    })
    let asked = 0
    const askPassword = () => {
      asked++
      return new Promise<string>(() => {})
    }
    await expect(connect(servers.to(port, { askPassword }))).rejects.toMatchObject({
      code: 'damaged',
      reason: 'it answers what was not asked',
    })
    expect(asked).toBe(1)
  })
})

describe('a prompt of the server’s', () => {
  test.each([
    ['is cut', `Password for ${'x'.repeat(500)}`, `Password for ${'x'.repeat(47)}…`],
    ['is cut once it is escaped', '\u202e'.repeat(40), `${'\\u{202e}'.repeat(7)}\\u{2…`],
    ['has no gaps', 'Passphrase for key:\u00a0\u00a0 \t\u3000\u2800\r\n\n  Code: ', 'Passphrase for key: Code:'],
    ['may be empty', ' \u00a0', ''],
  ])('%s', async (_what, prompt, shown) => {
    const port = await servers.ssh(context => {
      if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive'])
      context.prompt([{ prompt, echo: false }], () => context.accept())
    })
    const texts: string[] = []
    const askPassword = async ({ text }: PasswordPrompt) => String(texts.push(text))
    await (await connect(servers.to(port, { askPassword }))).close()
    expect(texts).toEqual([shown])
  })
})

describe('what a server says to whoever logs in', () => {
  /** Logs in where the server asks one thing, with all that stands around it. */
  async function hear(
    ask: (context: ssh2.KeyboardAuthContext, answered: () => void) => void,
    more: { banner?: string } = {},
  ): Promise<string[]> {
    const login = (context: ssh2.AuthContext) => {
      if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive'])
      ask(context, () => context.accept())
    }
    const port = await servers.ssh(login, undefined, more)
    const told: string[] = []
    const onNotice = (lines: readonly string[], kind: string) => void told.push(kind, ...lines)
    const askPassword = async ({ text }: PasswordPrompt) => {
      told.push(`? ${text}`)
      return 'x'
    }
    await (await connect(servers.to(port, { onNotice, askPassword }))).close()
    return told
  }

  test('comes line by line, escaped, before what it asks', async () => {
    const menu = `Passcode or option${' for hana'.repeat(6)}\n\n 1. push\n 2. call\n\n(1-2): `
    const banner = 'Be \u202eware\r\n\r\nof the dog\r\n'
    const told = await hear(
      (context, answered) => {
        context.prompt([{ prompt: menu }], 'Two\u001b[2J', '\r\nfactors', answered)
      },
      { banner },
    )
    const lines = menu.trimEnd().split('\n')
    const cut = `? ${menu.replaceAll(/\s+/g, ' ').slice(0, 60)}…`
    expect(told).toEqual([
      ...['banner', 'Be \\u{202e}ware', '', 'of the dog'],
      ...['question', 'Two\\u{1b}[2J', 'factors', ...lines, cut],
    ])
  })

  test('comes also where it asks nothing', async () => {
    const told = await hear((context, answered) => context.prompt([], '', 'Touch your token', answered))
    expect(told).toEqual(['question', 'Touch your token'])
  })

  test('is not told without end', async () => {
    const banner = `${'x'.repeat(500)}\n`.repeat(60)
    const told = await hear((context, answered) => context.prompt([{ prompt: 'Password: ' }], 'more', '', answered), {
      banner,
    })
    expect(told[1]).toBe(`${'x'.repeat(160)}…`)
    expect(told.length).toBeLessThan(60)
    expect(told.at(-1)).toBe('? Password:')
  })
})
