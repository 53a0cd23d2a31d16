import { once } from 'node:events'
import { chmod } from 'node:fs/promises'
import { connect as connectSocket, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { jest } from '@jest/globals'
import { generate, type PrivateKey } from '@keytool/keygen'
import { type Connection, type ConnectOptions, connect, type Incoming, KnownHosts } from '@keytool/tunnel'
import { temporaryFolder } from './world/folder.js'
import { type Home, temporaryHome } from './world/home.js'
import { runOrThrow } from './world/run.js'
import { startSshAgent } from './world/ssh-agent.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// What a connection carries beside plain forwards, judged by OpenSSH's server.

jest.setTimeout(90_000)

let home: Home
let user: SystemUser
let sshd: Sshd
let key: PrivateKey
let connection: Connection

beforeAll(async () => {
  home = await temporaryHome()
  user = await createUser()
  key = await generate('ed25519')
  const line = `${key.publicKey.algorithm.name} ${key.publicKey.blob.toString('base64')}`
  sshd = await startSshd({ users: [user], authorizedKeys: [line], config: ['AcceptEnv LC_*'] })
  connection = await connect(login())
})

afterAll(async () => {
  await connection.close()
  await sshd.stop()
  await user.dispose()
  await home.dispose()
})

function login(more: Partial<ConnectOptions> = {}): ConnectOptions {
  const knownHosts = new KnownHosts({ home: home.path, files: [join(home.path, 'known')], systemFiles: [] })
  const hosts = { knownHosts, confirmHost: async () => true }
  return { host: sshd.host, port: sshd.port, user: user.name, signers: [key], hosts, ...more }
}

/** Answers with what it got, turned round, once the other side has ended. */
async function turnRound(incoming: Incoming): Promise<void> {
  const stream = incoming.accept()
  const chunks: Buffer[] = []
  stream.on('data', chunk => chunks.push(chunk))
  await once(stream, 'end')
  stream.end(Buffer.concat(chunks).reverse())
}

describe('the server listens for us', () => {
  test('at a port it chooses, on loopback, until it is told to stop', async () => {
    const origins: unknown[] = []
    const listener = await connection.listenRemote({ host: 'localhost', port: 0 }, incoming => {
      origins.push(incoming.origin)
      turnRound(incoming)
    })
    const port = listener.port ?? 0
    expect(port).toBeGreaterThan(0)
    const socket = connectSocket({ port, host: '127.0.0.1', allowHalfOpen: true })
    socket.end('abc')
    expect((await buffer(socket)).toString()).toBe('cba')
    expect(origins).toEqual([{ host: '127.0.0.1', port: expect.any(Number) }])
    await listener.close()
    const late = connectSocket(port, '127.0.0.1')
    const [error] = await once(late, 'error')
    expect(error).toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('at a Unix socket', async () => {
    const path = join(user.home, 'listener')
    const listener = await connection.listenRemote({ path }, turnRound)
    const socket = connectSocket({ path, allowHalfOpen: true })
    socket.end('abc')
    expect((await buffer(socket)).toString()).toBe('cba')
    expect(listener.port).toBeUndefined()
    await listener.close()
  })

  test('a rejected connection is closed there', async () => {
    const listener = await connection.listenRemote({ host: 'localhost', port: 0 }, incoming => incoming.reject())
    const socket = connectSocket(listener.port ?? 0, '127.0.0.1')
    expect(await buffer(socket)).toHaveLength(0)
    await listener.close()
  })

  test('a port in use is refused', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    await expect(connection.listenRemote({ host: '127.0.0.1', port }, turnRound)).rejects.toMatchObject({
      code: 'refused',
      message: `the server does not listen on 127.0.0.1:${port}`,
    })
    server.close()
  })
})

describe('a Unix socket of the server', () => {
  test('carries both ways', async () => {
    const folder = await temporaryFolder()
    const path = join(folder.path, 'echo')
    const server = createServer({ allowHalfOpen: true }, (socket: Socket) => socket.pipe(socket))
    server.listen(path)
    await once(server, 'listening')
    await chmod(folder.path, 0o755)
    await chmod(path, 0o777)
    const stream = await connection.openDirectUnix(path)
    stream.end('there and back')
    expect((await buffer(stream)).toString()).toBe('there and back')
    server.close()
    await folder.dispose()
  })

  test('that nobody listens on', async () => {
    await expect(connection.openDirectUnix('/nobody/listens')).rejects.toMatchObject({ code: 'unreachable' })
  })
})

describe('a session', () => {
  test.each([
    ['exit 0', { status: 0 }],
    ['exit 255', { status: 255 }],
    ['kill -KILL $$', { signal: 'KILL' }],
  ])('%s', async (command, exit) => {
    const session = await connection.openSession({ command })
    session.stdout.resume()
    session.stderr.resume()
    expect(await session.exit).toEqual(exit)
  })

  test('has three streams, and ends its input when told', async () => {
    const session = await connection.openSession({ command: 'cat; echo beside >&2; exit 3' })
    session.stdin.end(Buffer.alloc(3_000_000, 'x'))
    const [stdout, stderr] = await Promise.all([buffer(session.stdout), buffer(session.stderr)])
    expect(stdout).toHaveLength(3_000_000)
    expect(stderr.toString()).toBe('beside\n')
    expect(await session.exit).toEqual({ status: 3 })
  })

  test('has a terminal of the size asked for, which can change', async () => {
    const session = await connection.openSession({
      terminal: { type: 'dumb', size: { columns: 91, rows: 17 }, modes: { IUTF8: 1, VERASE: 8, TOSTOP: 1, NONE: 1 } },
      environment: { LC_KEYTOOL: 'here' },
    })
    let seen = ''
    session.stdout.on('data', chunk => {
      seen += chunk
    })
    const until = async (pattern: RegExp) => {
      for (let i = 0; i < 800 && !pattern.test(seen); i++) await new Promise(resolve => setTimeout(resolve, 25))
      expect(seen).toMatch(pattern)
    }
    session.stdin.write('stty size; echo "<$LC_KEYTOOL $TERM>"\n')
    await until(/17 91\r?\n/)
    await until(/<here dumb>/)
    session.stdin.write('stty -a\n')
    await until(/erase = \^H.* iutf8.* tostop/s)
    session.resize({ columns: 60, rows: 20 })
    session.stdin.write('stty size\n')
    await until(/20 60\r?\n/)
    session.stdin.write('exit 7\n')
    session.stderr.resume()
    expect(await session.exit).toEqual({ status: 7 })
  })

  test('takes a signal', async () => {
    const session = await connection.openSession({ command: 'echo ready; exec sleep 60' })
    session.stderr.resume()
    await once(session.stdout, 'data')
    session.stdout.resume()
    session.signal('TERM')
    expect(await session.exit).toEqual({ signal: 'TERM' })
  })

  test('is lost with the connection, whatever it had said', async () => {
    const other = await connect(login())
    const session = await other.openSession({ command: 'echo here; exec sleep 60' })
    session.stdout.on('error', () => {})
    session.stderr.resume()
    await once(session.stdout, 'data')
    await other.close()
    await expect(session.exit).rejects.toMatchObject({ code: 'unreachable' })
  })

  test('reaches our agent, if it is to', async () => {
    const agent = await startSshAgent(home)
    const file = join(home.path, 'a-key')
    await runOrThrow('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'carried along', '-f', file])
    await runOrThrow('ssh-add', ['-q', file], { env: agent.env })
    const list = async (forwardAgent: boolean) => {
      const other = await connect(login({ openAgent: async () => connectSocket(agent.socket) }))
      const session = await other.openSession({ command: 'ssh-add -l; ssh-add -l', forwardAgent })
      session.stderr.resume()
      const said = (await buffer(session.stdout)).toString()
      await other.close()
      return said
    }
    try {
      expect(await list(true)).toMatch(/^(256 SHA256:\S+ carried along .*\n){2}$/)
      expect(await list(false)).toBe('')
    } finally {
      await agent.stop()
    }
  })
})

test('a sign of life', async () => {
  expect(await connection.ping(20_000)).toBeGreaterThan(0)
  const other = await connect(login())
  await other.close()
  await expect(other.ping(20_000)).rejects.toMatchObject({ code: 'unreachable' })
})
