import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { connect as connectSocket, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { generate, type PrivateKey } from '@keytool/keygen'
import { type ConnectOptions, connect, holdTunnel, KnownHosts, parseForward, type TunnelState } from '@keytool/tunnel'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { run, runOrThrow } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// The SSH side of the tunnel, judged by OpenSSH's server.

jest.setTimeout(90_000)

const MiB = 1024 * 1024
const types = ['ed25519', 'ecdsa-256', 'ecdsa-384', 'ecdsa-521', 'rsa']

let home: Home
let user: SystemUser
let sshd: Sshd
let key: PrivateKey
let keys: PrivateKey[]
let targets: Server[]

beforeAll(async () => {
  home = await temporaryHome()
  user = await createUser()
  keys = await Promise.all(types.map(type => generate(type, { comment: `test ${type}` })))
  key = keys[0] as PrivateKey
  sshd = await startSshd({ users: [user], authorizedKeys: keys.map(lineOf) })
  await writeFile(join(home.ssh, 'known_hosts'), sshd.knownHosts)
  targets = []
}, 90_000)

afterAll(async () => {
  for (const target of targets) target.close()
  await sshd.stop()
  await user.dispose()
  await home.dispose()
}, 90_000)

function lineOf({ publicKey }: PrivateKey): string {
  return `${publicKey.algorithm.name} ${publicKey.blob.toString('base64')} ${publicKey.comment}`
}

function knownHostsIn(file: string): KnownHosts {
  return new KnownHosts({ home: home.path, files: [file], systemFiles: [] })
}

function login(more: Partial<ConnectOptions> = {}): ConnectOptions {
  const knownHosts = knownHostsIn(join(home.ssh, 'known_hosts'))
  return { host: sshd.host, port: sshd.port, user: user.name, signers: [key], hosts: { knownHosts }, ...more }
}

/** A server on 127.0.0.1 for the forwards to lead to. */
async function target(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, socket => {
    socket.on('error', () => {})
    serve(socket)
  })
  targets.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

async function tunnelTo(port: number) {
  const states: TunnelState[] = []
  const tunnel = holdTunnel({
    target: 'the test server',
    forwards: [parseForward('local', `0:127.0.0.1:${port}`)],
    // Targets here are not looked at: some of them talk without being asked.
    probeInterval: 0,
    connect: signal => connect(login({ signal })),
    onState: state => states.push(state),
  })
  await tunnel.up
  return { tunnel, states, port: tunnel.forwards[0]?.port ?? 0 }
}

/** Ends when the socket does: `end` for a FIN, else the error's code. */
function ending(socket: Socket): Promise<string> {
  return new Promise(resolve => {
    socket.on('end', () => resolve('end')).on('error', error => resolve(String((error as NodeJS.ErrnoException).code)))
    socket.resume()
  })
}

describe('logging in', () => {
  test.each(types.map((type, index) => [type, index] as const))('with a key: %s', async (_type, index) => {
    const connection = await connect(login({ signers: [keys[index] as PrivateKey] }))
    expect(connection.admission).toEqual({ method: 'publickey', offered: ['publickey', 'password'] })
    await connection.close()
    expect(await connection.closed).toBeUndefined()
  })

  test('with a password, after a key that is refused, and after a wrong password', async () => {
    const stranger = await generate('ed25519')
    const answers = ['wrong', Buffer.from(user.password)]
    const prompts: object[] = []
    const connection = await connect(
      login({
        signers: async () => [stranger],
        askPassword: async prompt => {
          prompts.push(prompt)
          return answers.shift() ?? ''
        },
      }),
    )
    expect(connection.admission.method).toBe('password')
    const asked = { kind: 'password', user: user.name, host: '127.0.0.1', text: '', echo: false }
    expect(prompts).toEqual([
      { ...asked, attempt: 1, left: 3 },
      { ...asked, attempt: 2, left: 2 },
    ])
    await connection.close()
  })

  test('three wrong passwords', async () => {
    let asked = 0
    const askPassword = async () => `wrong ${++asked}`
    await expect(connect(login({ signers: [], askPassword }))).rejects.toMatchObject({
      code: 'secret-wrong',
      message: `the password for ${user.name}@127.0.0.1 was refused (3 tries)`,
    })
    expect(asked).toBe(3)
  })

  test('a refused key says what to do, and no password is asked for', async () => {
    const stranger = await generate('ed25519')
    await expect(connect(login({ signers: [stranger] }))).rejects.toMatchObject({
      code: 'secret-wrong',
      message: `127.0.0.1 refuses the key offered for ${user.name}`,
      reason: 'it offers publickey, password',
      hint: `keytool install-pubkey -p ${sshd.port} ${user.name}@127.0.0.1`,
    })
  })

  test('without key and password', async () => {
    await expect(connect(login({ signers: [] }))).rejects.toMatchObject({ code: 'secret-needed' })
  })

  test('too many keys: the server hangs up, and it is told why', async () => {
    const strangers = await Promise.all(Array.from({ length: 8 }, () => generate('ed25519')))
    await expect(connect(login({ signers: strangers }))).rejects.toMatchObject({
      code: 'secret-wrong',
      reason: expect.stringMatching(/too many authentication failures/i),
      hint: 'name the key that is meant: -i KEY',
    })
  })
})

test('a server that takes RSA with SHA-1 only gets no signature', async () => {
  const old = await startSshd({ users: [user], config: ['PubkeyAcceptedAlgorithms ssh-rsa'] })
  try {
    const file = join(home.ssh, 'old')
    await writeFile(file, old.knownHosts)
    const hosts = { knownHosts: knownHostsIn(file) }
    const signers = keys.filter(({ algorithm }) => algorithm.type === 'rsa')
    await expect(connect(login({ port: old.port, hosts, signers }))).rejects.toMatchObject({
      code: 'secret-wrong',
    })
  } finally {
    await old.stop()
  }
}, 90_000)

describe('the host key', () => {
  test('unknown: refused with the fingerprint', async () => {
    const hosts = { knownHosts: knownHostsIn(join(home.path, 'nothing')) }
    await expect(connect(login({ hosts }))).rejects.toMatchObject({
      code: 'host-key-unknown',
      reason: `it shows ED25519 ${sshd.fingerprints.ed25519}`,
    })
  })

  test('confirmed: written once, and ssh-keygen finds it', async () => {
    const file = join(home.ssh, 'learnt')
    const seen: string[] = []
    const confirmHost = async ({ fingerprint }: { fingerprint: string }) => seen.push(fingerprint) > 0
    for (let i = 0; i < 2; i++) {
      await (await connect(login({ hosts: { knownHosts: knownHostsIn(file), confirmHost } }))).close()
    }
    expect(seen).toEqual([sshd.fingerprints.ed25519])
    expect((await readFile(file, 'utf8')).split('\n')).toHaveLength(2)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    const found = await run(peerPath('ssh-keygen'), ['-F', `[127.0.0.1]:${sshd.port}`, '-f', file])
    expect(found).toMatchObject({ status: 0, stdout: expect.stringContaining('ssh-ed25519') })
  })

  test('confirmed for a file that ssh-keygen has hidden: written hidden, and ssh-keygen finds it', async () => {
    const file = join(home.ssh, 'hidden')
    await writeFile(file, `old.example ${lineOf(key)}\n`)
    await runOrThrow(peerPath('ssh-keygen'), ['-q', '-H', '-f', file])
    const hosts = { knownHosts: knownHostsIn(file), confirmHost: async () => true }
    await (await connect(login({ hosts }))).close()
    expect(await readFile(file, 'utf8')).toMatch(/^\|1\|.*\n\|1\|.*\n$/)
    for (const name of ['old.example', `[127.0.0.1]:${sshd.port}`]) {
      expect(await run(peerPath('ssh-keygen'), ['-F', name, '-f', file])).toMatchObject({ status: 0 })
    }
  })

  test('a no writes nothing', async () => {
    const knownHosts = knownHostsIn(join(home.ssh, 'refused'))
    const hosts = { knownHosts, confirmHost: async () => false }
    await expect(connect(login({ hosts }))).rejects.toMatchObject({ code: 'host-key-unknown' })
    await expect(stat(join(home.ssh, 'refused'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('known by RSA only: the server is asked for that one', async () => {
    const file = join(home.ssh, 'rsa-only')
    await writeFile(
      file,
      sshd.knownHosts
        .split('\n')
        .filter(line => line.includes('ssh-rsa'))
        .join('\n'),
    )
    await (await connect(login({ hosts: { knownHosts: knownHostsIn(file) } }))).close()
  })

  test('changed: refused with both fingerprints and the place, whatever the user would say', async () => {
    const file = join(home.ssh, 'changed')
    const other = await generate('ed25519')
    await writeFile(file, `# old\n[127.0.0.1]:${sshd.port} ${lineOf(other)}\n`)
    const hosts = { knownHosts: knownHostsIn(file), confirmHost: async () => true }
    await expect(connect(login({ hosts }))).rejects.toMatchObject({
      code: 'host-key-changed',
      message: `the host key of [127.0.0.1]:${sshd.port} has changed`,
      reason: expect.stringMatching(
        new RegExp(`known SHA256:.*\\(~/.ssh/changed line 2\\).*${sshd.fingerprints.ed25519.replace(/[+]/g, '\\+')}`),
      ),
    })
  })

  test('revoked: refused', async () => {
    const file = join(home.ssh, 'revoked')
    const lines = sshd.knownHosts.split('\n').filter(line => line.includes('ssh-ed25519'))
    await writeFile(file, `${lines[0]}\n@revoked * ${lines[0]?.split(' ').slice(1).join(' ')}\n`)
    await expect(connect(login({ hosts: { knownHosts: knownHostsIn(file) } }))).rejects.toMatchObject({
      code: 'host-key-changed',
      message: expect.stringContaining('revoked'),
    })
  })
})

describe('a command', () => {
  test('gets its input; its outputs and its status come back', async () => {
    const connection = await connect(login())
    const input = randomBytes(3 * MiB)
    const result = await connection.exec('cat; echo oops >&2; exit 3', { stdin: input, cap: 4 * MiB })
    expect(result).toMatchObject({ status: 3, stderr: Buffer.from('oops\n') })
    expect(result.stdout.equals(input)).toBe(true)
    expect(await connection.exec('kill -TERM $$')).toMatchObject({ signal: 'SIGTERM' })
    await expect(connection.exec('cat /dev/zero', { cap: 1000 })).rejects.toMatchObject({ code: 'damaged' })
    await expect(connection.exec('sleep 30', { timeout: 200 })).rejects.toMatchObject({ code: 'unreachable' })
    // The connection is none the worse for it.
    expect(await connection.exec('echo still here')).toMatchObject({ status: 0 })
    await connection.close()
    await expect(connection.exec('true')).rejects.toMatchObject({ code: 'unreachable' })
  })
})

describe('a forward', () => {
  test('carries 256 MiB both ways at once, intact', async () => {
    const size = 256 * MiB
    const hashes: Promise<string>[] = []
    const port = await target(socket => {
      hashes.push(hashOf(socket))
      send(socket, 7, size)
    })
    const { tunnel, port: local } = await tunnelTo(port)
    const socket = connectSocket({ port: local, host: '127.0.0.1', allowHalfOpen: true })
    const [received] = await Promise.all([hashOf(socket), send(socket, 9, size)])
    expect(received).toBe(await expectedHash(7, size))
    expect(await hashes[0]).toBe(await expectedHash(9, size))
    expect(tunnel.forwards[0]?.counters).toMatchObject({ connections: 1, bytesIn: size, bytesOut: size })
    await tunnel.stop()
  }, 180_000)

  test('carries 200 connections at once, each half-closed whole', async () => {
    // Answers only when the other side has ended: half-closing decides.
    const port = await target(async socket =>
      socket.end(
        createHash('sha256')
          .update(await gather(socket))
          .digest('hex'),
      ),
    )
    const { tunnel, port: local } = await tunnelTo(port)
    const sockets = Array.from({ length: 200 }, () =>
      connectSocket({ port: local, host: '127.0.0.1', allowHalfOpen: true }),
    )
    await Promise.all(sockets.map(socket => once(socket, 'connect')))
    const answers = await Promise.all(
      sockets.map(async socket => {
        const data = randomBytes(100_000)
        socket.end(data)
        const answer = (await gather(socket)).toString()
        return answer === createHash('sha256').update(data).digest('hex')
      }),
    )
    expect(answers.filter(Boolean)).toHaveLength(200)
    expect(tunnel.forwards[0]?.counters).toMatchObject({ connections: 200, bytesOut: 200 * 100_000 })
    await tunnel.stop()
  }, 90_000)

  test('outlives new session keys under load', async () => {
    const often = await startSshd({ users: [user], config: ['RekeyLimit 4M'] })
    const file = join(home.ssh, 'often')
    await writeFile(file, often.knownHosts)
    const size = 64 * MiB
    const hashes: Promise<string>[] = []
    const port = await target(socket => {
      hashes.push(hashOf(socket))
      send(socket, 3, size)
    })
    const tunnel = holdTunnel({
      target: 'the test server',
      forwards: [parseForward('local', `0:127.0.0.1:${port}`)],
      probeInterval: 0,
      connect: () => connect(login({ port: often.port, hosts: { knownHosts: knownHostsIn(file) } })),
    })
    try {
      await tunnel.up
      const local = tunnel.forwards[0]?.port ?? 0
      const socket = connectSocket({ port: local, host: '127.0.0.1', allowHalfOpen: true })
      const [received] = await Promise.all([hashOf(socket), send(socket, 4, size)])
      expect(received).toBe(await expectedHash(3, size))
      expect(await hashes[0]).toBe(await expectedHash(4, size))
    } finally {
      await tunnel.stop()
      await often.stop()
    }
  }, 90_000)

  test('hands a closed door on as a reset, and goes on', async () => {
    const closed = await target(() => {})
    targets.pop()?.close()
    const { tunnel, port } = await tunnelTo(closed)
    expect(await ending(connectSocket(port, '127.0.0.1'))).toBe('ECONNRESET')
    expect(tunnel.forwards[0]?.counters.lastError).toBe(`the server can't reach 127.0.0.1:${closed}`)
    expect(tunnel.state.name).toBe('up')
    await tunnel.stop()
  })

  test('a lost connection resets what it carried, says why, and is followed by another', async () => {
    const port = await target(socket => socket.write('hello'))
    const { tunnel, states, port: local } = await tunnelTo(port)
    const socket = connectSocket(local, '127.0.0.1')
    await once(socket, 'data')
    const ended = ending(socket)
    await sshd.dropConnections()
    expect(await ended).toBe('ECONNRESET')
    const again = connectSocket(local, '127.0.0.1')
    expect(String((await once(again, 'data'))[0])).toBe('hello')
    again.destroy()
    expect(states.map(({ name }) => name)).toEqual(['connecting', 'up', 'waiting', 'connecting', 'up'])
    expect(states[2]).toMatchObject({
      error: { code: 'unreachable', message: 'the connection to the test server is lost' },
    })
    await tunnel.stop()
  })

  test('stopping closes the listeners and resets what is open', async () => {
    const port = await target(socket => socket.write('hello'))
    const { tunnel, port: local } = await tunnelTo(port)
    const socket = connectSocket(local, '127.0.0.1')
    await once(socket, 'data')
    const ended = ending(socket)
    await tunnel.stop()
    expect(await ended).toBe('ECONNRESET')
    expect(await tunnel.done).toBeUndefined()
    expect(await ending(connectSocket(local, '127.0.0.1'))).toBe('ECONNREFUSED')
  })
})

/** Bytes that follow from their place, so that what is lost, doubled or moved is seen. */
function* blocks(seed: number, size: number): Generator<Buffer> {
  const block = Buffer.alloc(MiB, randomOf(seed))
  for (let at = 0; at < size; at += MiB) {
    block.writeUInt32BE(at / MiB, 0)
    yield Buffer.from(block)
  }
}

function randomOf(seed: number): Buffer {
  return createHash('sha512').update(String(seed)).digest()
}

async function send(socket: Socket, seed: number, size: number): Promise<void> {
  for (const block of blocks(seed, size)) if (!socket.write(block)) await once(socket, 'drain')
  socket.end()
}

async function gather(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = []
  socket.on('data', part => parts.push(part))
  await once(socket, 'end')
  return Buffer.concat(parts)
}

async function hashOf(socket: Socket): Promise<string> {
  const hash = createHash('sha256')
  socket.on('data', chunk => hash.update(chunk))
  await once(socket, 'end')
  return hash.digest('hex')
}

async function expectedHash(seed: number, size: number): Promise<string> {
  const hash = createHash('sha256')
  for (const block of blocks(seed, size)) hash.update(block)
  return hash.digest('hex')
}
