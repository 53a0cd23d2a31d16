import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFile, chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { eventually } from './tunnel-cli-fixture.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import { findFreePort } from './world/port.js'
import { keytool, keytoolPath } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { type Running, startKeytool } from './world/start.js'
import { createUser, type SystemUser } from './world/system-user.js'
import { openTerminal } from './world/terminal.js'

// `keytool tunnel` as a user runs it, against OpenSSH's server.

jest.setTimeout(120_000)

const MiB = 1024 * 1024

let home: Home
let user: SystemUser
let sshd: Sshd
let env: Environment
const servers: Server[] = []

beforeAll(async () => {
  home = await temporaryHome()
  env = home.env
  user = await createUser()
  await keytool(['gen', '-t', 'ed25519', '--no-passphrase'], { env })
  sshd = await startSshd({ users: [user], authorizedKeys: [await readFile(join(home.ssh, 'id_ed25519.pub'), 'utf8')] })
})

beforeEach(() => writeFile(knownHosts(), sshd.knownHosts))

afterAll(async () => {
  for (const server of servers) server.close()
  await sshd.stop()
  await user.dispose()
  await home.dispose()
})

const knownHosts = () => join(home.ssh, 'known_hosts')
const there = () => ['-p', String(sshd.port), `${user.name}@127.0.0.1`]

async function listen(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, socket => {
    socket.on('error', () => {})
    serve(socket)
  })
  servers.push(server.listen(0, '127.0.0.1'))
  await once(server, 'listening')
  return portOf(server)
}

function portOf(server: Server): number {
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('no port')
  return address.port
}

/** A tunnel to a target of ours that is up, and the port it chose. */
async function up(target: number, ...args: string[]): Promise<{ tunnel: Running; port: number }> {
  const tunnel = await startKeytool(['tunnel', '-L', `0:127.0.0.1:${target}`, ...args, ...there()], { env })
  const [, port] = await tunnel.waitFor(/^127\.0\.0\.1:(\d+) -> /m)
  return { tunnel, port: Number(port) }
}

describe('what goes through', () => {
  test('256 MiB both ways at once, intact', async () => {
    // The far end sends while it receives, and tells at the end what it got.
    const far = randomBytes(MiB)
    const target = await listen(socket => {
      const hash = createHash('sha256')
      socket.on('data', chunk => hash.update(chunk))
      void pour(socket, far, 256).then(() => {
        if (socket.readableEnded) socket.end(hash.digest('hex'))
        else socket.once('end', () => socket.end(hash.digest('hex')))
      })
    })
    // Looked at, the target would send all that to nobody.
    const { tunnel, port } = await up(target, '--probe', '0')
    const near = randomBytes(MiB)
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const received = createHash('sha256')
    let size = 0
    let tail = Buffer.alloc(0)
    socket.on('data', chunk => {
      const body = chunk.subarray(0, Math.max(0, 256 * MiB - size))
      received.update(body)
      tail = Buffer.concat([tail, chunk.subarray(body.length)])
      size += chunk.length
    })
    const ended = once(socket, 'end')
    await pour(socket, near, 256)
    socket.end()
    await ended
    expect(received.digest('hex')).toBe(repeated(far, 256))
    expect(tail.toString()).toBe(repeated(near, 256))
    expect(await tunnel.stop('SIGINT')).toEqual({ status: 0, signal: null })
  })

  test('200 connections at once, each half-closed and answered whole', async () => {
    const target = await listen(socket => {
      const parts: Buffer[] = []
      socket.on('data', chunk => parts.push(chunk))
      // The answer comes only once the question has ended: a half-close that got lost would hang here.
      socket.on('end', () => socket.end(Buffer.concat([...parts, ...parts])))
    })
    const { tunnel, port } = await up(target)
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const question = createHash('sha512').update(String(i)).digest()
        const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
        const parts: Buffer[] = []
        socket.on('data', chunk => parts.push(chunk))
        socket.end(question)
        await once(socket, 'end')
        return Buffer.concat(parts).equals(Buffer.concat([question, question]))
      }),
    )
    expect(answers.filter(Boolean)).toHaveLength(200)
    await tunnel.stop()
  })
})

describe('how it ends', () => {
  test('not with the connection: what was open is reset, not ended, and new ones are carried again', async () => {
    const target = await listen(socket => socket.write('hello'))
    const { tunnel, port } = await up(target)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'data')
    const broken = once(socket, 'error').catch(error => [error])
    await sshd.dropConnections()
    expect((await broken)[0]).toMatchObject({ code: 'ECONNRESET' })
    // It may be down still: then it is held, and carried when it is up.
    const next = connect(port, '127.0.0.1')
    expect(String((await once(next, 'data'))[0])).toBe('hello')
    next.destroy()
    expect(await tunnel.stop()).toEqual({ status: 0, signal: null })
  })

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s: 0, and nothing listens', async signal => {
    const { tunnel, port } = await up(await listen(() => {}))
    expect(await tunnel.stop(signal)).toEqual({ status: 0, signal: null })
    await expect(once(connect(port, '127.0.0.1'), 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})

describe('what stops it before it starts', () => {
  const refused = (args: string[]) => keytool(['tunnel', ...args], { env, timeoutMs: 20_000 })

  test('a port in use: 1 before anything is dialled, naming who holds it and a free one', async () => {
    const taken = await listen(() => {})
    // A host that does not exist: had it been dialled first, that would be the error.
    const result = await refused(['-L', `${taken}:localhost:1`, 'x@nowhere.invalid'])
    expect(result.status).toBe(1)
    expect(result.stderr).toContain(`127.0.0.1:${taken} is in use`)
    expect(result.stderr).toContain(`(pid ${process.pid})`)
    expect(result.stderr).toMatch(/a free port: -L \d+:localhost:1/)
  })

  test.each([
    ['no forward', ['x@127.0.0.1']],
    ['a forward that can’t be read', ['-L', '1110:localhost', 'x@127.0.0.1']],
    ['a forward to a hostile host', ['-L', '0:-oProxyCommand=x:1', 'x@127.0.0.1']],
    ['a port out of range', ['-L', '0:a:1', '-p', '70000', 'x@127.0.0.1']],
    ['a hostile destination', ['-L', '0:a:1', '--', '-oProxyCommand=x']],
    ['no destination', ['-L', '0:a:1']],
  ])('%s: 2', async (_name, args) => {
    expect(await refused(args)).toMatchObject({ status: 2, stdout: '' })
  })

  test('a closed port, a name that does not resolve: 7', async () => {
    const free = await findFreePort()
    expect(await refused(['-L', '0:a:1', '-p', String(free), 'x@127.0.0.1'])).toMatchObject({ status: 7 })
    expect(await refused(['-L', '0:a:1', 'x@nowhere.invalid'])).toMatchObject({ status: 7 })
  })

  test('a peer that does not speak SSH: 6', async () => {
    const port = await listen(socket => socket.end('220 mail.example ESMTP\r\n'))
    expect(await refused(['-L', '0:a:1', '-p', String(port), 'x@127.0.0.1'])).toMatchObject({ status: 6 })
  })

  test('a key the server does not know, and nobody to ask for a password: 5 at once', async () => {
    const other = await temporaryHome()
    await keytool(['gen', '--no-passphrase'], { env: other.env })
    await writeFile(join(other.ssh, 'known_hosts'), sshd.knownHosts)
    const result = await keytool(['tunnel', '-L', '0:a:1', ...there()], { env: other.env })
    expect(result).toMatchObject({ status: 5, stdout: '' })
    await other.dispose()
  })
})

describe('the host key', () => {
  const dial = (...args: string[]) => keytool(['tunnel', '-L', '0:a:1', ...args, ...there()], { env })

  test('unknown, without a terminal: 8 with the fingerprint and the line to run; nothing is written', async () => {
    await writeFile(knownHosts(), '')
    const result = await dial()
    expect(result).toMatchObject({ status: 8, stdout: '' })
    expect(result.stderr).toContain(sshd.fingerprints.ed25519)
    expect(result.stderr).toContain(`--host-key ${sshd.fingerprints.ed25519}`)
    expect(await readFile(knownHosts(), 'utf8')).toBe('')
  })

  test('another than --host-key says: 8, and nothing is written', async () => {
    await writeFile(knownHosts(), '')
    expect(await dial('--host-key', sshd.fingerprints.rsa)).toMatchObject({ status: 8 })
    expect(await readFile(knownHosts(), 'utf8')).toBe('')
  })

  test('changed: 8 with both fingerprints and the place, --host-key or not', async () => {
    const other = sshd.knownHosts.split('\n').map(line => line.replace(/AAAA\S+/, otherKey))
    await writeFile(knownHosts(), `# a comment\n${other[0]}\n`)
    for (const more of [[], ['--host-key', sshd.fingerprints.ed25519]]) {
      const result = await dial(...more)
      expect(result.status).toBe(8)
      expect(result.stderr).toMatch(/has changed\n.*SHA256:\S+ .*~\/\.ssh\/known_hosts line 2\).* now SHA256:/)
    }
  })

  test('asked for on a terminal: no writes nothing, the fingerprint is as good as yes', async () => {
    await writeFile(knownHosts(), '# mine')
    const command = [process.execPath, keytoolPath, 'tunnel', '-L', '0:127.0.0.1:1', ...there()]
    const no = await openTerminal(command, { env })
    await no.waitFor(/yes\/no\/\[fingerprint\]/)
    expect(await no.screen()).toContain(sshd.fingerprints.ed25519)
    expect(await no.screen()).toContain('+----[SHA256]-----+')
    await no.type('no\r')
    expect(await no.exitStatus()).toBe(8)
    await no.close()
    expect(await readFile(knownHosts(), 'utf8')).toBe('# mine')

    const yes = await openTerminal(command, { env, cols: 120 })
    await yes.waitFor(/yes\/no\/\[fingerprint\]/)
    await yes.type('perhaps\r')
    await yes.waitFor(/type yes or no/)
    await yes.type(`${sshd.fingerprints.ed25519}\r`)
    await yes.waitFor(/protected as far as/)
    await yes.type('\x03')
    expect(await yes.exitStatus()).toBe(0)
    await yes.close()
    const [mine, noted] = (await readFile(knownHosts(), 'utf8')).split('\n')
    expect(mine).toBe('# mine')
    // Under its name or hidden, as this system's ssh_config has it.
    expect(sshd.knownHosts).toContain(` ${noted?.split(' ').slice(1).join(' ')}\n`)
  })
})

test('a password is asked for on a terminal, never shown, three times at most', async () => {
  const other = await temporaryHome()
  await writeFile(join(other.ssh, 'known_hosts'), sshd.knownHosts)
  const command = [process.execPath, keytoolPath, 'tunnel', '-L', '0:127.0.0.1:1', ...there()]
  const right = await openTerminal(command, { env: other.env })
  await right.waitFor(/password for/)
  await right.type('a wrong one\r')
  await right.waitFor(/that was refused[\s\S]*password for/)
  await right.type(`${user.password}\r`)
  await right.waitFor(/protected as far as/)
  await right.type('\x03')
  expect(await right.exitStatus()).toBe(0)
  expect(await right.transcript()).not.toContain(user.password)
  await right.close()

  const wrong = await openTerminal(command, { env: other.env })
  for (let tries = 1; tries <= 3; tries++) {
    await wrong.waitFor(new RegExp(`(password for[^]*){${tries}}`))
    await wrong.type('wrong\r')
  }
  expect(await wrong.exitStatus()).toBe(5)
  await wrong.close()
  await other.dispose()
})

test('Ctrl-C at the key’s passphrase ends it: no password is asked for', async () => {
  const other = await temporaryHome()
  await writeFile(join(other.ssh, 'known_hosts'), sshd.knownHosts)
  await writeFile(join(other.path, 'secret'), 'my passphrase')
  await keytool(['gen', '--passphrase-file', join(other.path, 'secret')], { env: other.env })
  await user.authorize(await readFile(join(other.ssh, 'id_ed25519.pub'), 'utf8'))
  const command = [process.execPath, keytoolPath, 'tunnel', '-L', '0:127.0.0.1:1', ...there()]
  for (const end of ['\x03', '\x04']) {
    const terminal = await openTerminal(command, { env: other.env })
    await terminal.waitFor(/passphrase for/)
    await terminal.type(end)
    expect(await terminal.exitStatus()).toBe(130)
    expect(await terminal.screen()).not.toContain('password')
    await terminal.close()
  }
  await other.dispose()
})

test('a target that the server can’t reach is said, once', async () => {
  const { tunnel, port } = await up(await findFreePort())
  for (let i = 0; i < 3; i++) await once(connect(port, '127.0.0.1'), 'close').catch(() => {})
  await tunnel.waitFor(/is dead: the server can't reach/)
  expect(await tunnel.stop()).toEqual({ status: 0, signal: null })
  // Once of the forward, which is dead, and once of those who came, if they were first.
  expect(tunnel.stderr.lines.filter(line => line.includes("the server can't reach")).length).toBeLessThanOrEqual(2)
})

test('an agent that is not safe to ask is passed over, and said: the tunnel goes on without it', async () => {
  const other = await temporaryHome()
  await writeFile(join(other.ssh, 'known_hosts'), sshd.knownHosts)
  await mkdir(join(other.runtime, 'keytool'))
  await chmod(join(other.runtime, 'keytool'), 0o777)
  await writeFile(join(other.path, 'password'), user.password)
  const args = ['tunnel', '-L', '0:127.0.0.1:1', '--password-file', join(other.path, 'password'), ...there()]
  const tunnel = await startKeytool(args, { env: other.env })
  await tunnel.waitFor(/protected as far as/)
  await tunnel.stderr.waitFor(/no agent is asked/)
  await tunnel.stop()
  const status = await keytool(['agent', 'status', '--json'], { env: other.env })
  expect(status.status).toBe(0)
  expect(JSON.parse(status.stdout)).toMatchObject({ running: false, trouble: expect.stringContaining('0777') })
  expect(await keytool(['list'], { env: other.env })).toMatchObject({ status: 4, stdout: '' })
  await other.dispose()
})

test('why it comes to a password is said', async () => {
  const other = await temporaryHome()
  await writeFile(join(other.ssh, 'known_hosts'), sshd.knownHosts)
  const result = await keytool(['tunnel', '-L', '0:a:1', ...there()], { env: other.env })
  expect(result).toMatchObject({ status: 5, stdout: '' })
  expect(result.stderr).toContain('no agent answers')
  await other.dispose()
})

test('a password in a file lets in, and is seen in no argument and no environment', async () => {
  const other = await temporaryHome()
  await writeFile(join(other.ssh, 'known_hosts'), sshd.knownHosts)
  const file = join(other.path, 'password')
  await writeFile(file, `${user.password}\n`)
  const args = ['tunnel', '-L', '0:127.0.0.1:1', '--password-file', file, ...there()]
  const tunnel = await startKeytool(args, { env: other.env })
  await tunnel.waitFor(/protected as far as/)
  for (const place of ['cmdline', 'environ']) {
    expect(await readFile(`/proc/${tunnel.pid}/${place}`, 'utf8')).not.toContain(user.password)
  }
  await tunnel.stop()
  // The same wrong one is not tried three times: that would only count against the account.
  await writeFile(file, 'wrong\n')
  const before = sshd.log().length
  expect(await keytool(args, { env: other.env })).toMatchObject({ status: 5 })
  const failures = async () =>
    sshd
      .log()
      .slice(before)
      .match(/Failed password/g) ?? []
  // sshd says so once it has answered.
  await eventually(failures, lines => lines.length > 0)
  expect(await failures()).toHaveLength(1)
  await other.dispose()
})

test('an address that is not loopback is bound only when it is written, and said', async () => {
  const port = await findFreePort()
  const tunnel = await startKeytool(['tunnel', '-L', `*:${port}:127.0.0.1:1`, ...there()], { env })
  await tunnel.waitFor(/protected as far as/)
  await tunnel.stderr.waitFor(new RegExp(`port ${port} is open to other machines`))
  await tunnel.stop()
})

test('known_hosts with hidden names is read and grows hidden', async () => {
  await writeFile(knownHosts(), '')
  const { run } = await import('./world/run.js')
  await appendFile(
    knownHosts(),
    'elsewhere.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n',
  )
  expect(await run('/usr/bin/ssh-keygen', ['-H', '-f', knownHosts()], { env })).toMatchObject({ status: 0 })
  const { tunnel } = await up(await listen(() => {}), '--host-key', sshd.fingerprints.ed25519)
  await tunnel.stop()
  const text = await readFile(knownHosts(), 'utf8')
  // The server's other keys come along, once it has proved them.
  expect(text.trim().split('\n').length).toBeGreaterThan(1)
  for (const line of text.trim().split('\n')) expect(line).toMatch(/^\|1\|/)
  expect(text).not.toContain('127.0.0.1')
  const found = await run('/usr/bin/ssh-keygen', ['-F', `[127.0.0.1]:${sshd.port}`, '-f', knownHosts()], { env })
  expect(found).toMatchObject({ status: 0 })
  // And is known from now on.
  const again = await up(await listen(() => {}))
  await again.tunnel.stop()
  expect((await readdir(home.ssh)).filter(name => name.endsWith('.tmp'))).toEqual([])
})

/** A well-formed Ed25519 key that is nobody's. */
const otherKey = Buffer.concat([
  Buffer.from('0000000b7373682d6564323535313900000020', 'hex'),
  Buffer.alloc(32, 7),
]).toString('base64')

/** Sends a block so many times, no faster than it is taken. */
async function pour(socket: Socket, block: Buffer, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    if (!socket.write(block)) await once(socket, 'drain')
  }
}

function repeated(block: Buffer, times: number): string {
  const hash = createHash('sha256')
  for (let i = 0; i < times; i++) hash.update(block)
  return hash.digest('hex')
}
