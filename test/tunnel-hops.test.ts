import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type OurAgent, startOurAgent } from './agent-fixture.js'
import { type NamedHost, readLedger, startHost } from './agent-hosts.js'
import { eventually, openTunnelWorld, portIn, type TunnelWorld } from './tunnel-cli-fixture.js'
import { findFreePort } from './world/port.js'
import { startSshd } from './world/sshd.js'

// The way through other hosts, as `keytool tunnel` goes it: three real servers, each with keys of its own, one signature each.

jest.setTimeout(120_000)

let world: TunnelWorld
let agent: OurAgent
/** `closed` lets nobody through. */
let hosts: Record<'hop1' | 'hop2' | 'target' | 'closed', NamedHost>
let echo: Server
let echoPort: number

const key = () => join(world.home.ssh, 'id_ed25519')
const config = () => join(world.home.ssh, 'config')
const knownHosts = () => join(world.home.ssh, 'known_hosts')

beforeAll(async () => {
  world = await openTunnelWorld()
  const options = { users: [world.user] }
  const names = ['hop1', 'hop2', 'target', 'closed'] as const
  const started = await Promise.all(
    names.map(name => startHost(name, { ...options, ...(name === 'closed' && { config: ['AllowTcpForwarding no'] }) })),
  )
  hosts = Object.fromEntries(started.map(host => [host.name, host])) as typeof hosts
  await writeFile(knownHosts(), started.map(host => host.knownHosts).join(''))
  await writeFile(join(world.home.ssh, 'by-address'), started.map(({ sshd }) => sshd.knownHosts).join(''))
  const block = ({ name, sshd }: NamedHost) =>
    `Host ${name}\n  HostName 127.0.0.1\n  Port ${sshd.port}\n  User ${world.user.name}\n  HostKeyAlias ${name}\n`
  await writeFile(
    config(),
    [
      ...started.map(block),
      `Host far\n  HostName 127.0.0.1\n  Port ${hosts.target.sshd.port}\n  HostKeyAlias target\n  ProxyJump hop2\n`,
      `Host *\n  User ${world.user.name}\n`,
    ].join(''),
  )
  agent = await startOurAgent(world.home)
  // The key is the agent's alone.
  await world.ours('add', key())
  await rename(key(), `${key()}.away`)
  echo = createServer({ allowHalfOpen: true }, socket => socket.on('error', () => {}).pipe(socket))
  echo.listen(0, '127.0.0.1')
  await once(echo, 'listening')
  echoPort = (echo.address() as { port: number }).port
})

afterEach(() => world.clear())

afterAll(async () => {
  echo?.close()
  await agent?.stop().catch(() => {})
  for (const host of Object.values(hosts ?? {})) await host.sshd.stop()
  await world?.dispose()
})

const forward = () => ['-L', `0:127.0.0.1:${echoPort}`]
const start = (...args: string[]) => world.tunnel(['--background', ...forward(), ...args])

/** What went there and came back, and how long it was. */
async function carry(port: number, bytes: Buffer): Promise<Buffer> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const parts: Buffer[] = []
  socket.on('data', part => parts.push(part))
  socket.end(bytes)
  await once(socket, 'end')
  return Buffer.concat(parts)
}

const hashOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

test('three hosts, each with a signature of its own that is bound to it; 20 MB go through whole; the middle one is restarted', async () => {
  const { status, stdout, stderr } = await start('-J', 'hop1,hop2', 'target')
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  const signed = await readLedger(agent.env, 'sign')
  expect(signed.map(({ host, user }) => [host, user])).toEqual(
    ['hop1', 'hop2', 'target'].map(name => [name, world.user.name]),
  )
  for (const { sshd } of [hosts.hop1, hosts.hop2, hosts.target]) await sshd.waitForLog(/Accepted publickey/)

  const bytes = randomBytes(20_000_000)
  expect(hashOf(await carry(portIn(stdout), bytes))).toBe(hashOf(bytes))

  const { port, hostKeyFiles } = hosts.hop2.sshd
  // Its keys are to outlive it.
  const kept = Object.fromEntries(
    await Promise.all(
      Object.entries(hostKeyFiles).map(async ([type, file]) => {
        const copy = join(world.home.path, `hop2-${type}`)
        await writeFile(copy, await readFile(file), { mode: 0o600 })
        await writeFile(`${copy}.pub`, await readFile(`${file}.pub`))
        return [type, copy]
      }),
    ),
  )
  await hosts.hop2.sshd.stop()
  await eventually(world.status, ([first]) => first?.state === 'waiting')
  const sshd = await startSshd({
    users: [world.user],
    passwordUsers: [],
    port,
    hostKeyFiles: kept as typeof hostKeyFiles,
  })
  hosts = { ...hosts, hop2: { ...hosts.hop2, sshd } }
  await eventually(world.status, ([first]) => first?.state === 'up')
  expect(String(await carry(portIn(stdout), Buffer.from('again')))).toBe('again')
})

test.each([
  ['ProxyJump of ssh_config', ['far']],
  ['hosts by address', ['-J', 'USER@127.0.0.1:HOP1', 'target']],
])('%s leads there, too', async (_what, args) => {
  const words = args.map(word => word.replace('USER', world.user.name).replace('HOP1', String(hosts.hop1.sshd.port)))
  const { stdout, stderr, status } = await start(
    '-o',
    'UserKnownHostsFile=~/.ssh/known_hosts ~/.ssh/by-address',
    ...words,
  )
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(String(await carry(portIn(stdout), Buffer.from('hello')))).toBe('hello')
})

test('a hop may be a session, and a session may have hops; --verbose says each', async () => {
  const port = String(hosts.hop1.sshd.port)
  const alias = ['--host-key-alias', 'hop1']
  await world.ours('session', 'save', 'first', `${world.user.name}@127.0.0.1`, '-p', port, ...alias)
  await world.ours('session', 'save', 'deep', 'target', '-J', 'first,hop2', ...forward())
  const { status, stdout, stderr } = await world.tunnel(['--background', '--verbose', 'deep'])
  expect(status).toBe(0)
  expect(stderr.match(/logged in at \S+ by publickey/g)).toHaveLength(3)
  expect(String(await carry(portIn(stdout), Buffer.from('hello')))).toBe('hello')
})

describe('what stops it names the host', () => {
  test('one where nobody listens: 7', async () => {
    const dead = await findFreePort()
    const { status, stderr } = await start('-J', `hop1,127.0.0.1:${dead}`, 'target')
    expect({ status, stderr }).toEqual({ status: 7, stderr: expect.stringContaining(`127.0.0.1:${dead}`) })
  })

  test('one with another key: 8, and nobody after it is asked', async () => {
    const before = await readFile(knownHosts(), 'utf8')
    const countVisits = () => hosts.target.sshd.log().match(/^Connection from /gm)?.length
    const asked = countVisits()
    await writeFile(
      knownHosts(),
      before.replaceAll(/^hop2 .*\n/gm, '') + before.match(/^hop1 ssh-ed25519 .*\n/m)?.[0].replace('hop1', 'hop2'),
    )
    try {
      const { status, stderr } = await start('-J', 'hop1,hop2', 'target')
      expect({ status, stderr }).toEqual({
        status: 8,
        stderr: expect.stringMatching(/host key of \S+ has changed\n.*\n.*known-hosts remove hop2;/),
      })
      expect(countVisits()).toBe(asked)
    } finally {
      await writeFile(knownHosts(), before)
    }
  })

  test('one that lets nobody through', async () => {
    const { status, stderr } = await start('-J', 'closed', 'target')
    expect(stderr).toContain(`127.0.0.1:${hosts.target.sshd.port}`)
    expect({ status, stderr }).toEqual({ status: 4, stderr: expect.stringContaining('AllowTcpForwarding') })
    expect(stderr).toContain(`the server is ${world.user.name}@127.0.0.1:${hosts.closed.sshd.port}, on the way there`)
  })

  test('a circle: 2', async () => {
    const circle = join(world.home.path, 'circle')
    await writeFile(circle, 'Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n')
    expect(await start('-F', circle, 'a')).toMatchObject({ status: 2, stderr: expect.stringContaining('circle') })
  })
})

test('a key that is for some hosts only serves these: the first one it is not for stops it', async () => {
  const add = (...places: string[]) => world.ours('add', ...places.flatMap(place => ['--for', place]), `${key()}.away`)
  await world.ours('remove', '--all')
  expect(await add('target')).toMatchObject({ status: 0 })
  const refused = await start('-J', 'hop1,hop2', 'target')
  expect(refused).toMatchObject({ status: 5, stdout: '' })
  expect(refused.stderr).toContain('127.0.0.1')
  await world.ours('remove', '--all')
  expect(await add('hop1', 'hop2', 'target')).toMatchObject({ status: 0 })
  expect(await start('-J', 'hop1,hop2', 'target')).toMatchObject({ status: 0, stderr: '' })
  await world.ours('remove', '--all')
  await world.ours('add', `${key()}.away`)
})

test.each([
  [
    'a session',
    async (command: string) => {
      await world.ours('session', 'save', 'by-program', 'target', '--proxy-command', command, '--force')
      return ['by-program']
    },
  ],
  ['ssh_config', async (command: string) => ['-o', `ProxyCommand=${command}`, 'target']],
])('a program of %s carries it, and ends with it', async (_what, args) => {
  const script = join(world.home.path, 'carry.cjs')
  await writeFile(
    script,
    `const [, , host, port] = process.argv
const socket = require('node:net').connect(port, host)
process.stdin.pipe(socket).pipe(process.stdout)
socket.on('close', () => process.exit())
`,
  )
  const { status, stdout, stderr } = await start(...(await args(`${process.execPath} ${script} %h %p`)))
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  const bytes = randomBytes(1_000_000)
  expect(hashOf(await carry(portIn(stdout), bytes))).toBe(hashOf(bytes))
  expect((await world.processes()).filter(command => command.includes('carry.cjs'))).not.toEqual([])
  await world.ours('tunnel', 'stop', '--all')
  await eventually(world.processes, all => !all.some(command => command.includes('carry.cjs')))
})
