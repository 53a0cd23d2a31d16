import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { leaveHome } from './agent-fixture.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { keytool, type RunResult, runOrThrow } from './world/run.js'
import { type SshAgent, startSshAgent } from './world/ssh-agent.js'

// The shell asks another agent so far: that is noticed, named, and its keys are offered.

jest.setTimeout(120_000)

let home: Home
let other: SshAgent
/** Where gnome-keyring's would be, which it is told by. */
let place: string
let env: Environment

beforeEach(async () => {
  home = await temporaryHome()
  other = await startSshAgent(home)
  await mkdir(join(home.path, 'keyring'), { mode: 0o700 })
  place = join(home.path, 'keyring', 'ssh')
  await symlink(other.socket, place)
  env = { ...home.env, SSH_AUTH_SOCK: place }
  const key = join(home.ssh, 'id')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  await runOrThrow(peerPath('ssh-add'), ['-q', key], { env })
})

afterEach(async () => {
  await keytool(['agent', 'stop'], { env: home.env })
  await other.stop()
  await leaveHome(home)
})

const ours = (args: readonly string[], more: Environment = {}): Promise<RunResult> =>
  keytool(args, { env: { ...env, ...more } })

test('at the start it is named, and what serves its keys as well does so', async () => {
  const started = await ours(['agent', '-s'])
  expect(started.status).toBe(0)
  const [, words = ''] = /^.*SSH_AUTH_SOCK named gnome-keyring; .*: keytool agent stop; (.*)\n$/.exec(
    started.stderr,
  ) ?? [started.stderr]
  expect(words).toBe('keytool agent --upstream ~/keyring/ssh')
  // A second start finds the first, and has nothing new to say.
  expect((await ours(['agent', '-s'])).stderr).toBe('')

  const status = await ours(['agent', 'status'])
  expect(status.stdout).toContain(`asks gnome-keyring at ${place.replace(home.path, '~')} (1 key)`)
  expect(status.stdout).toContain(`to have the keys of both in one: keytool agent stop; ${words}`)
  expect(JSON.parse((await ours(['agent', 'status', '--json'])).stdout).shell).toMatchObject({
    ours: false,
    agent: 'gnome-keyring',
    SSH_AUTH_SOCK: place,
  })

  expect((await ours(['agent', 'stop'])).status).toBe(0)
  const merged = await ours(words.replace('~', home.path).split(' ').slice(1))
  expect([merged.status, merged.stderr]).toEqual([0, ''])
  const listed = await ours(['list', '--json'], { SSH_AUTH_SOCK: join(home.runtime, 'keytool', 'agent.sock') })
  expect(JSON.parse(listed.stdout)).toEqual([expect.objectContaining({ origin: 'upstream' })])
  expect((await ours(['agent', 'status'])).stdout).not.toContain('keys of both')
})

test('one that is lent to a session, or is gone, is named and not offered', async () => {
  await mkdir(join(home.path, 'ssh-Ab12'), { mode: 0o700 })
  const lent = join(home.path, 'ssh-Ab12', 'agent.4242')
  await symlink(other.socket, lent)
  const session = { SSH_AUTH_SOCK: lent, SSH_CONNECTION: '127.0.0.1 1 127.0.0.1 22' }
  const started = await ours(['agent', '-s'], session)
  expect([started.status, started.stderr]).toEqual([0, ''])
  const asked = await ours(['agent', 'status'], session)
  expect(asked.stdout).toContain('asks a forwarded agent at ~/ssh-Ab12/agent.4242 (1 key)')
  expect(asked.stdout).not.toContain('keys of both')
  await other.stop()
  const status = await ours(['agent', 'status'])
  expect(status.stdout).toContain('asks gnome-keyring at')
  expect(status.stdout).toContain('(nobody answers)')
  expect(status.stdout).not.toContain('keys of both')
})

test('without our agent, status says how to have both', async () => {
  const { stdout } = await ours(['agent', 'status'])
  expect(stdout).toMatch(/^running +no$/m)
  expect(stdout).toContain('to have the keys of both in one: keytool agent --upstream ~/keyring/ssh\n')
})
