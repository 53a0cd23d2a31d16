import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { eventually, openTunnelWorld, type TunnelWorld } from './tunnel-cli-fixture.js'
import { findFreePort } from './world/port.js'
import { startKeytool } from './world/start.js'

// What a start says and leaves behind, where something is not as it should be.

jest.setTimeout(90_000)

let world: TunnelWorld
let target: number

beforeAll(async () => {
  world = await openTunnelWorld()
  target = await world.serve(socket => socket.end('hello\n'))
})

afterEach(() => world.clear())

afterAll(() => world?.dispose())

const forward = () => ['-L', `0:127.0.0.1:${target}`]

test('a forward whose target is dead is said to be, and the tunnel is up', async () => {
  const dead = await findFreePort()
  const { status, stdout, stderr } = await world.tunnel([
    '--background',
    ...forward(),
    '-L',
    `0:127.0.0.1:${dead}`,
    ...world.there,
  ])
  expect(status).toBe(0)
  expect(stderr).toMatch(new RegExp(`^127\\.0\\.0\\.1:\\d+ -> 127\\.0\\.0\\.1:${dead} is dead: the server can't reach`))
  expect(stdout).toContain('in the background')
  const [facts] = await world.status()
  expect(facts?.forwards.map(({ state }) => state)).toEqual(['up', 'dead'])
})

test('a file where a Unix socket is to be is in the way, and nothing runs', async () => {
  const path = join(world.home.path, 'in-the-way')
  await writeFile(path, 'mine')
  for (const more of [['--background'], []]) {
    const { status, stdout, stderr } = await world.tunnel([
      ...more,
      '-L',
      `${path}:127.0.0.1:${target}`,
      ...world.there,
    ])
    expect({ status, stdout }).toEqual({ status: 4, stdout: '' })
    expect(stderr).toContain(`${path.slice(path.lastIndexOf('/'))} is there already, and is no socket`)
  }
  expect(await world.status()).toEqual([])
})

test('what was named by a path from here is found when it connects again', async () => {
  const folder = join(world.home.path, 'elsewhere')
  await mkdir(folder)
  const args = ['--background', ...forward(), '-i', '../.ssh/id_ed25519', '--log', 'here.log', ...world.there]
  expect(await world.tunnel(args, { cwd: folder })).toMatchObject({ status: 0, stderr: '' })
  await world.sshd.dropConnections()
  await eventually(world.status, ([facts]) => facts?.state === 'up' && facts.reconnects === 1)
})

test('a host of ssh_config goes by its name there, and is stopped by it', async () => {
  const { user, sshd } = world
  await writeFile(
    join(world.home.ssh, 'config'),
    `Host far\n  HostName 127.0.0.1\n  Port ${sshd.port}\n  User ${user.name}\n`,
    { mode: 0o600 },
  )
  expect(await world.tunnel(['--background', ...forward(), 'far'])).toMatchObject({ status: 0 })
  expect((await world.status()).map(({ name }) => name)).toEqual(['far'])
  expect(await world.ours('tunnel', 'status', 'far')).toMatchObject({ status: 0 })
  expect(await world.ours('tunnel', 'status', 'near')).toMatchObject({ status: 3 })
  expect(await world.ours('tunnel', 'stop', 'far')).toMatchObject({ status: 0, stdout: 'ok tunnel far stopped\n' })
})

test('a locked agent is the reason, and how to unlock it is said', async () => {
  const agent = await startKeytool(['agent', '-D'], { env: world.env })
  await agent.waitFor(/SSH_AUTH_SOCK=/)
  try {
    const word = join(world.home.path, 'word')
    await writeFile(word, 'open sesame\n')
    expect(await world.ours('lock', '--passphrase-file', word)).toMatchObject({ status: 0 })
    const { status, stderr } = await world.tunnel([...forward(), '-o', 'IdentityFile=/dev/null', ...world.there])
    expect(status).toBe(5)
    expect(stderr).toContain('the agent is locked: keytool unlock')
  } finally {
    await agent.stop()
  }
})
