import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect as connectSocket, createServer, type Server, type Socket } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jest } from '@jest/globals'
import { connectAgent } from '@keytool/agent'
import { generate, type PrivateKey } from '@keytool/keygen'
import {
  type Clock,
  type ConnectOptions,
  connect,
  formatEvent,
  holdTunnel,
  KnownHosts,
  parseForward,
  systemClock,
  type TunnelOptions,
  type TunnelState,
} from '@keytool/tunnel'
import { waitForEnd } from './agent-fixture.js'
import { findDescendants } from './world/descendants.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { killIfThere, runOrThrow } from './world/run.js'
import { startSshAgent } from './world/ssh-agent.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { type Running, start } from './world/start.js'
import { createUser, type SystemUser } from './world/system-user.js'

// Tunnels that stay up, judged by OpenSSH's server going away in every way it can.

jest.setTimeout(90_000)

const MiB = 1024 * 1024
const data = randomBytes(4 * MiB)

let home: Home
let user: SystemUser
let key: PrivateKey
let sshd: Sshd
let hostKeyFiles: Sshd['hostKeyFiles']
/** Gives its data and ends; gives it slowly and never ends. */
let whole: number
let slow: number
const servers: Server[] = []
const stops: (() => Promise<void>)[] = []

beforeAll(async () => {
  home = await temporaryHome()
  user = await createUser()
  key = await generate('ed25519', { comment: 'supervised' })
  sshd = await startSshd({ users: [user], authorizedKeys: [lineOf(key)] })
  hostKeyFiles = await keepHostKeys(sshd)
  await writeFile(join(home.ssh, 'known_hosts'), sshd.knownHosts)
  whole = await serve(socket => socket.end(data))
  slow = await serve(async socket => {
    for (let at = 0; at < data.length && !socket.destroyed; at += 65_536) {
      socket.write(data.subarray(at, at + 65_536))
      await sleep(5)
    }
  })
}, 120_000)

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

afterAll(async () => {
  for (const server of servers) server.close()
  await sshd.stop()
  await user.dispose()
  await home.dispose()
}, 90_000)

function lineOf({ publicKey }: PrivateKey): string {
  return `${publicKey.algorithm.name} ${publicKey.blob.toString('base64')} ${publicKey.comment}`
}

/** A server takes its host keys with it: these are to outlive it. */
async function keepHostKeys({ hostKeyFiles: files }: Sshd): Promise<Sshd['hostKeyFiles']> {
  const folder = join(home.path, 'host-keys')
  await mkdir(folder, { mode: 0o700 })
  const keep = async (file: string) => {
    const kept = join(folder, basename(file))
    await Promise.all([copyFile(file, kept), copyFile(`${file}.pub`, `${kept}.pub`)])
    return kept
  }
  const [ed25519, rsa, ecdsa] = await Promise.all([keep(files.ed25519), keep(files.rsa), keep(files.ecdsa)])
  return { ed25519, rsa, ecdsa }
}

async function serve(answer: (socket: Socket) => void): Promise<number> {
  const server = createServer(socket => {
    socket.on('error', () => {})
    answer(socket)
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

function logIn(signal: AbortSignal, more: Partial<ConnectOptions> = {}) {
  const knownHosts = new KnownHosts({ home: home.path, files: [join(home.ssh, 'known_hosts')], systemFiles: [] })
  return connect({
    host: sshd.host,
    port: sshd.port,
    user: user.name,
    signers: [key],
    hosts: { knownHosts },
    signal,
    ...more,
  })
}

/** A tunnel that is up, and everything it says. */
async function hold(options: Partial<TunnelOptions> = {}) {
  const states: TunnelState[] = []
  const lines: string[] = []
  let dials = 0
  let happen: (why: 'wake' | 'network') => void = () => {}
  const tunnel = holdTunnel({
    target: 'the test server',
    forwards: [whole, slow].map(port => parseForward('local', `0:127.0.0.1:${port}`)),
    probeInterval: 0,
    onState: state => states.push(state),
    onEvent: event => lines.push(formatEvent(event).slice(26)),
    watch: onEvent => {
      happen = onEvent
      return () => {}
    },
    ...options,
    connect: async signal => {
      const connection = await (options.connect ?? (given => logIn(given)))(signal, { again: dials++ > 0 })
      // Only now sshd has forked for the last time, so that all of the session can be found.
      if (dials === 1) await connection.exec('true')
      return connection
    },
  })
  stops.push(() => tunnel.stop())
  await tunnel.up
  return {
    tunnel,
    lines,
    port: tunnel.forwards[0]?.port ?? 0,
    slowPort: tunnel.forwards[1]?.port ?? 0,
    dials: () => dials,
    names: () => states.map(({ name }) => name),
    happen: (why: 'wake' | 'network') => happen(why),
    /** Waits until it came up so many times in all. */
    ups: (times: number) => until(() => states.filter(({ name }) => name === 'up').length >= times),
  }
}

async function until(done: () => boolean, timeoutMs = 60_000): Promise<void> {
  const end = Date.now() + timeoutMs
  while (!done()) {
    if (Date.now() > end) throw new Error(`it did not come to it within ${timeoutMs} ms: ${done}`)
    await sleep(5)
  }
}

/** One connection through the tunnel: what it got, and how it ended (`end` for a FIN, else the error's code). */
function fetch(port: number) {
  const parts: Buffer[] = []
  const socket = connectSocket({ port, host: '127.0.0.1', allowHalfOpen: true })
  const ended = new Promise<string>(resolve => {
    const failed = (error: Error) => resolve(String((error as NodeJS.ErrnoException).code))
    socket.on('data', part => parts.push(part))
    socket.on('error', failed)
    // A process that was kept from reading sees a RST that came behind data as an end: writing nothing tells the two apart.
    socket.on('end', () => {
      socket.write('', error => {
        if (error) return failed(error)
        socket.end()
        resolve('end')
      })
    })
  })
  const got = () => Buffer.concat(parts)
  return { ended, got, size: () => parts.reduce((sum, { length }) => sum + length, 0) }
}

/** Everything comes, once, in order. */
async function fetchWhole(port: number): Promise<void> {
  const { ended, got } = fetch(port)
  expect(await ended).toBe('end')
  expect(got().equals(data)).toBe(true)
}

/** What a tunnel goes through that comes up so many times, each time at the first try. */
function course(names: readonly string[]): string[] {
  // Tries that fail in between are as they may be: the server is away for longer or shorter.
  const text = names.join(' ').replaceAll(/(?:waiting connecting )+(?=up)/g, 'again ')
  return text.split(' ')
}

test('ten connections lost under load: each reset, none cut short, and whoever waits gets everything', async () => {
  const { tunnel, port, slowPort, names, lines, ups } = await hold({ random: () => 0.1 })
  for (let round = 1; round <= 10; round++) {
    const loads = Array.from({ length: 4 }, () => fetch(slowPort))
    await until(() => loads.every(({ size }) => size() > 65_536))
    await sshd.dropConnections()
    for (const { ended, got } of loads) {
      expect(await ended).toBe('ECONNRESET')
      const part = got()
      expect(part.equals(data.subarray(0, part.length))).toBe(true)
    }
    // The listener is there all the time; this one is held until the tunnel is back.
    const held = fetch(port)
    await ups(round + 1)
    expect(await held.ended).toBe('end')
    expect(held.got().equals(data)).toBe(true)
  }
  await fetchWhole(port)
  expect(tunnel.status()).toMatchObject({
    state: 'up',
    reconnects: 10,
    forwards: [{}, { lastError: expect.any(String) }],
  })
  await tunnel.stop()
  expect(course(names())).toEqual(['connecting', 'up', ...Array(10).fill('again up').join(' ').split(' '), 'stopped'])
  expect(lines.filter(line => line.startsWith('lost: the connection to the test server is lost'))).toHaveLength(10)
  expect(lines.filter(line => line === 'up')).toHaveLength(11)
}, 240_000)

test('a server killed and started again fifty times is found each time, by the same listener', async () => {
  const config = join(dirname(sshd.hostKeyFiles.ed25519), 'sshd_config')
  const greeter = await serve(socket => socket.end('hello'))
  const forwards = [parseForward('local', `0:127.0.0.1:${greeter}`)]
  const { tunnel, port, names, lines, ups } = await hold({ forwards, random: () => 0.05 })
  let server: Running | undefined
  const kill = async () => {
    // Of a listener that is gone nobody knows its sessions.
    const pid = server?.pid ?? sshd.pid
    for (const each of [pid, ...(await findDescendants(pid))]) killIfThere(each)
    await server?.exit
    // One that dies holds its port until it is dead.
    await waitForEnd(pid)
  }
  try {
    for (let round = 1; round <= 50; round++) {
      await kill()
      server = await start(peerPath('sshd'), ['-D', '-e', '-f', config])
      await server.waitFor(/Server listening/)
      await ups(round + 1)
      const { ended, got } = fetch(port)
      expect(await ended).toBe('end')
      expect(got().toString()).toBe('hello')
    }
    expect(tunnel.status().reconnects).toBe(50)
    expect(lines.filter(line => line.startsWith('lost:'))).toHaveLength(50)
    await tunnel.stop()
    expect(course(names())).toEqual(['connecting', 'up', ...Array(50).fill('again up').join(' ').split(' '), 'stopped'])
  } finally {
    await tunnel.stop()
    await kill()
    const { port: serverPort } = sshd
    await sshd.stop()
    sshd = await startSshd({ users: [user], port: serverPort, hostKeyFiles })
  }
}, 400_000)

test('a server that stands still is taken for dead, and another session carries', async () => {
  const { port, slowPort, lines, ups } = await hold({
    // The next one is not to be taken for dead where the machine is slow.
    connect: (signal, { again }) => logIn(signal, again ? {} : { keepalive: { interval: 300, count: 3 } }),
  })
  const load = fetch(slowPort)
  await until(() => load.size() > 0)
  const still = await findDescendants(sshd.pid)
  for (const pid of still) killIfThere(pid, 'SIGSTOP')
  try {
    expect(await load.ended).toBe('ECONNRESET')
    await ups(2)
    await fetchWhole(port)
    expect(lines.find(line => line.startsWith('lost'))).toMatch(/no longer answers/)
  } finally {
    for (const pid of still) killIfThere(pid)
  }
}, 120_000)

test('when the network changes a connection that answers stays', async () => {
  const { happen, lines, names, port } = await hold()
  happen('network')
  await fetchWhole(port)
  expect(lines.at(-1)).toBe('the network has changed')
  expect(names()).toEqual(['connecting', 'up'])
})

test('a key that the server takes no more ends it, after one try', async () => {
  const before = await readFile(user.authorizedKeysFile)
  const { tunnel, dials, port } = await hold()
  try {
    await writeFile(user.authorizedKeysFile, '')
    await sshd.dropConnections()
    expect(await tunnel.done).toMatchObject({ code: 'secret-wrong' })
    expect(dials()).toBe(2)
    expect(await fetch(port).ended).toBe('ECONNREFUSED')
  } finally {
    await writeFile(user.authorizedKeysFile, before)
  }
})

test('a changed host key ends it, after one look', async () => {
  const { tunnel, dials, port } = await hold()
  const { port: serverPort } = sshd
  await sshd.stop()
  const other = await startSshd({ users: [user], port: serverPort })
  try {
    expect(await tunnel.done).toMatchObject({
      code: 'host-key-changed',
      reason: expect.stringContaining(other.fingerprints.ed25519),
    })
    const dialled = dials()
    await sleep(1000)
    expect(dials()).toBe(dialled)
    expect(other.log().match(/Connection from/g)).toHaveLength(1)
    expect(await fetch(port).ended).toBe('ECONNREFUSED')
  } finally {
    await other.stop()
    sshd = await startSshd({ users: [user], port: serverPort, hostKeyFiles })
  }
}, 120_000)

test('without its agent it waits, leaves the server alone, and goes on when the agent is back', async () => {
  const file = join(home.ssh, 'id')
  const askpass = join(home.path, 'no')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-C', 'agent', '-f', file])
  await user.authorize(await readFile(`${file}.pub`, 'utf8'))
  const startWithKey = async () => {
    const started = await startSshAgent(home)
    stops.push(() => started.stop())
    await runOrThrow(peerPath('ssh-add'), ['-q', file], { env: { ...started.env, SSH_ASKPASS: askpass } })
    return started
  }
  const agent = await startWithKey()
  /** Absent while none answers, as the command has it. */
  const listKeys = async () => {
    const client = await connectAgent(agent.socket).catch(() => undefined)
    return { signers: (await client?.signers()) ?? [], close: () => client?.close() }
  }
  let looks = 0
  /** The supervisor's own waits, ten times as short. */
  const fast: Clock = { now: Date.now, after: (ms, work) => systemClock.after(ms / 10, work) }
  const { tunnel, port, lines, ups } = await hold({
    connect: async signal => {
      const { signers, close } = await listKeys()
      return logIn(signal, { signers }).finally(close)
    },
    clock: fast,
    ready: async () => {
      const { signers, close } = await listKeys()
      close()
      looks++
      return signers.length > 0
    },
  })
  await agent.stop()
  await sshd.dropConnections()
  await until(() => lines.some(line => line.endsWith('goes on when there is a key')))
  const seen = sshd.log().match(/Connection from/g)?.length
  // So long that a key was looked for.
  await until(() => looks > 1)
  expect(tunnel.state).toMatchObject({ name: 'waiting', error: { code: 'secret-needed' } })
  expect(sshd.log().match(/Connection from/g)).toHaveLength(seen ?? 0)
  await startWithKey()
  await ups(2)
  await fetchWhole(port)
}, 120_000)

test('a remote forward listens again on the port it had; a target that dies is told, and one that lives', async () => {
  const greeter = await serve(socket => socket.end('220 hello\r\n'))
  const port = await serve(socket => {
    socket.once('data', () => socket.end()).write('220 here\r\n')
  })
  const forwards = [parseForward('remote', `0:127.0.0.1:${greeter}`), parseForward('local', `0:127.0.0.1:${port}`)]
  const { tunnel, lines, ups } = await hold({ forwards, probe: () => 'smtp', probeInterval: 100, random: () => 0.1 })
  const states = () => tunnel.status().forwards.map(({ state }) => state)
  await until(() => states().join() === 'up,up')
  const there = tunnel.forwards[0]?.port ?? 0
  expect(there).toBeGreaterThan(0)
  const [target] = servers.splice(-1)
  await new Promise(resolve => target?.close(resolve))
  await until(() => states().join() === 'up,dead')
  await sshd.dropConnections()
  await ups(2)
  await until(() => states()[0] === 'up')
  expect(tunnel.forwards[0]?.port).toBe(there)
  const { ended, got } = fetch(there)
  expect([await ended, got().toString()]).toEqual(['end', '220 hello\r\n'])
  const again = createServer(socket => socket.on('error', () => {}).write('220 back\r\n')).listen(port, '127.0.0.1')
  servers.push(again)
  await until(() => states().join() === 'up,up')
  expect(lines.at(-1)).toMatch(/ is up: 220 back$/)
}, 120_000)
