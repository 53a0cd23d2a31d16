import { chmod, lstat, mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { createRunTool, installLogin, type LoginFacts, loginDisk, loginFacts, loginKindsOf } from '@keytool/agent'
import { places } from '@keytool/agent/platform'
import { until } from './agent-askpass.js'
import { leaveHome, startOurAgent, untilWritten, waitForEnd } from './agent-fixture.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { residentKeytool } from './world/resident.js'
import { keytool, keytoolPath, type RunResult, run, runOrThrow } from './world/run.js'
import { startUserManager, type UserManager } from './world/user-manager.js'

// From login on with a real systemd --user: what is written, enabled, started, and taken back.

jest.setTimeout(180_000)

let home: Home
let manager: UserManager
let socket: string
/** A shell's, to which the desktop has told where the agent is. */
let env: Environment

beforeEach(async () => {
  home = await temporaryHome()
  manager = await startUserManager(home.env)
  socket = join(home.runtime, 'keytool', 'agent.sock')
  env = { ...home.env, SSH_AUTH_SOCK: socket }
})

afterEach(async () => {
  await manager.stop()
  // What other programs' sockets leave there.
  for (const name of await readdir(home.runtime)) {
    if (name !== 'keytool') await rm(join(home.runtime, name), { recursive: true, force: true })
  }
  await leaveHome(home)
})

async function succeed(...args: string[]): Promise<string> {
  // What an agent comes from is a process of its own.
  const runner = args.includes('-s') ? keytool : residentKeytool
  const { status, stdout, stderr } = await runner(args, { env })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout
}

const list = (): Promise<RunResult> => run(peerPath('ssh-add'), ['-l'], { env })
/** ssh-add ends with 1 for an agent without keys, too. */
const cutOff = { status: 1, stdout: '', stderr: expect.stringContaining('communication with agent failed') }
const answered = { status: 1, stdout: 'The agent has no identities.\n', stderr: '' }
const activeState = async (unit: string) => (await manager.systemctl('is-active', unit)).stdout.trim()

async function servicePid(): Promise<number> {
  return Number((await manager.systemctl('show', '--value', '--property=MainPID', 'keytool-agent.service')).stdout)
}

async function told(): Promise<string | undefined> {
  const { stdout } = await manager.systemctl('show-environment')
  return stdout.split('\n').find(line => line.startsWith('SSH_AUTH_SOCK='))
}

test('installed twice, started by the first connection, and taken back without a trace', async () => {
  expect(await succeed('agent', 'install')).toMatch(/keytool-agent\.socket[\s\S]*by a systemd socket\n/)
  expect(await activeState('keytool-agent.socket')).toBe('active')
  expect(await activeState('keytool-agent.service')).toBe('inactive')
  expect(((await lstat(socket)).mode & 0o777).toString(8)).toBe('600')
  expect(((await lstat(join(socket, '..'))).mode & 0o777).toString(8)).toBe('700')
  const again = JSON.parse(await succeed('agent', 'install', '--json'))
  expect(again).toMatchObject({ kind: 'systemd', changed: false, written: false, commands: [], held: [] })
  expect(await succeed('agent', 'install')).toContain('nothing was changed')
  // Looking at what is there has not started it, nor does asking how it is, or stopping what does not run.
  expect(JSON.parse(await succeed('agent', 'status', '--json'))).toMatchObject({ running: false, login: 'systemd' })
  expect(await succeed('agent', 'status')).toMatch(/^running +no: it starts when it is first asked$/m)
  expect((await keytool(['agent', 'stop'], { env })).status).toBe(7)
  expect(await activeState('keytool-agent.service')).toBe('inactive')

  expect(await list()).toMatchObject(answered)
  expect(await activeState('keytool-agent.service')).toBe('active')
  const pid = await servicePid()
  const status = JSON.parse(await succeed('agent', 'status', '--json'))
  expect(status).toMatchObject({ running: true, pid, socket, shell: { ours: true } })
  // A start by hand finds it.
  expect(await succeed('agent', '-s')).toContain(`SSH_AGENT_PID=${pid};`)

  await succeed('agent', 'uninstall')
  await waitForEnd(pid)
  expect(await readdir(home.path)).not.toContain('.config')
  expect(await readdir(join(home.runtime, 'keytool'))).toEqual([])
  expect(await told()).toBeUndefined()
  expect((await manager.systemctl('list-unit-files', 'keytool-agent.*')).stdout).not.toContain('keytool')
  expect(await succeed('agent', 'uninstall')).toContain('nothing was changed')
})

test('stopped or killed, its socket stays, and whoever comes meanwhile is answered', async () => {
  await succeed('agent', 'install')
  const { ino } = await lstat(socket)
  await list()
  const ends: readonly ((pid: number) => unknown)[] = [
    pid => process.kill(pid, 'SIGKILL'),
    () => succeed('agent', 'stop'),
    pid => process.kill(pid, 'SIGKILL'),
  ]
  const pids = new Set<number>()
  for (const end of ends) {
    const pid = await servicePid()
    pids.add(pid)
    await end(pid)
    const results = await Promise.all(Array.from({ length: 10 }, list))
    for (const result of results) expect(result).toMatchObject(answered)
    expect((await lstat(socket)).ino).toBe(ino)
  }
  expect(pids.size).toBe(3)
})

test('at the next login it is told of, although another agent says that it is the one', async () => {
  await succeed('agent', 'install')
  // As GNOME's socket does it.
  const units = join(home.path, '.config/systemd/user')
  const other =
    '[Socket]\nListenStream=%t/other\nExecStartPost=systemctl --user set-environment SSH_AUTH_SOCK=%t/other\n'
  await writeFile(join(units, 'gcr-ssh-agent.socket'), other)
  await manager.stop()
  manager = await startUserManager(home.env)
  expect(await activeState('keytool-agent.socket')).toBe('active')
  expect(await activeState('gcr-ssh-agent.socket')).toBe('active')
  expect(await told()).toBe(`SSH_AUTH_SOCK=${socket}`)
  expect(await list()).toMatchObject(answered)
})

test('environment.d alone tells whatever the session starts', async () => {
  await succeed('agent', 'install')
  await manager.systemctl('disable', '--now', 'keytool-agent.socket')
  await manager.stop()
  manager = await startUserManager(home.env)
  expect(await told()).toBe(`SSH_AUTH_SOCK=${socket}`)
})

test('hardened as it is, it asks for passphrases, and knows who asks; its children inherit no socket', async () => {
  const key = join(home.ssh, 'id')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', 'right horse', '-f', key])
  const askpass = join(home.path, 'askpass')
  const seen = join(home.path, 'seen')
  await writeFile(askpass, `#!/bin/sh\nenv | grep LISTEN >${seen}; ls -l /proc/$$/fd >>${seen}; echo right horse\n`)
  await chmod(askpass, 0o700)
  await manager.systemctl('set-environment', `SSH_ASKPASS=${askpass}`, 'SSH_ASKPASS_REQUIRE=force')
  await succeed('agent', 'install')
  await succeed('add', '--at-login', key)
  // Nothing but the rule is left of it.
  await succeed('agent', 'stop')
  await writeFile(join(home.path, 'text'), 'x')
  const signing = await run(
    peerPath('ssh-keygen'),
    ['-Y', 'sign', '-n', 'file', '-f', `${key}.pub`, join(home.path, 'text')],
    {
      env,
    },
  )
  expect(signing).toMatchObject({ status: 0, stderr: expect.stringContaining('Write signature') })
  const handed = await readlink(`/proc/${await servicePid()}/fd/3`)
  expect(handed).toMatch(/^socket:/)
  const inherited = await readFile(seen, 'utf8')
  expect(inherited).toContain(' 0 -> ')
  expect(inherited).not.toContain(handed)
  expect(inherited).not.toContain('LISTEN')
  await untilWritten(socket)
  const log = (await succeed('log', '--json')).split('\n').filter(line => line.includes('"sign"'))
  expect(log.join()).toContain('ssh-keygen')

  const status = await readFile(`/proc/${await servicePid()}/status`, 'utf8')
  expect(status).toMatch(/^NoNewPrivs:\t1$/m)
  expect(status).toMatch(/^Seccomp:\t2$/m)
  const limits = await readFile(`/proc/${await servicePid()}/limits`, 'utf8')
  expect(limits).toMatch(/^Max core file size +0 +0 /m)
})

test('an agent that runs already is not cut off from its keys', async () => {
  const agent = await startOurAgent(home)
  expect(await succeed('agent', 'install')).toContain('goes on until then')
  expect(JSON.parse(await succeed('agent', 'status', '--json'))).toMatchObject({ running: true, pid: agent.pid })
  expect(await activeState('keytool-agent.socket')).toBe('inactive')
  await succeed('agent', 'stop')
  await waitForEnd(agent.pid)
  await succeed('agent', 'install')
  expect(await activeState('keytool-agent.socket')).toBe('active')
})

test('one whose place systemd took all the same keeps its files to itself: no second one starts', async () => {
  const agent = await startOurAgent(home)
  await succeed('agent', 'install')
  await manager.systemctl('start', 'keytool-agent.socket')
  expect(await list()).toMatchObject(cutOff)
  await until('its end', async () => (await servicePid()) === 0)
  process.kill(agent.pid)
  await waitForEnd(agent.pid)
  await succeed('agent', 'install')
  expect(await list()).toMatchObject(answered)
})

test('one that can not start keeps nobody waiting for ever, and comes back when it is installed again', async () => {
  const policy = join(home.path, '.config/keytool/agent.json')
  await mkdir(join(policy, '..'), { recursive: true })
  await writeFile(policy, '{')
  await succeed('agent', 'install')
  expect(await list()).toMatchObject(cutOff)
  await rm(policy)
  await until('its end', async () => (await activeState('keytool-agent.socket')) === 'failed')
  await succeed('agent', 'install')
  expect(await list()).toMatchObject(answered)
})

test('paths with blanks, quotes, %, $ and other scripts are those that are run', async () => {
  const odd = join(home.path, `a b%h$HOME "q" 'r' \\t é☃ \${x} ;x`)
  await mkdir(odd)
  for (const [node, state] of [
    [join(odd, 'node'), 'quoted'],
    [join(home.path, 'a b%h$HOME é☃ ;x'), 'plain'],
  ] as const) {
    const told = join(home.path, state)
    const script = `printf '%s\\n' "$0" "$@" "$XDG_STATE_HOME" >${told}.new && mv ${told}.new ${told}`
    await writeFile(node, `#!/bin/sh\n${script}\n`)
    await chmod(node, 0o700)
    const program = join(odd, 'keytool.cjs')
    const facts: LoginFacts = {
      ...loginFacts(program, places(home.env, 'linux', home.path), { ...home.env, XDG_STATE_HOME: odd }),
      node,
      nodeArguments: ['--one', ''],
    }
    const [kind] = loginKindsOf('linux')
    expect(kind?.name).toBe('systemd')
    if (kind) await installLogin(kind, facts, { disk: loginDisk, run: createRunTool(home.env) })
    await manager.systemctl('start', '--wait', 'keytool-agent.service')
    const lines = (await until(state, () => readFile(told, 'utf8').catch(() => undefined))).split('\n')
    expect(lines).toEqual([node, '--one', '', program, 'agent', '-D', odd, ''])
    await manager.systemctl('stop', 'keytool-agent.service', 'keytool-agent.socket')
  }
})

test('a desktop that hands its autostart to systemd starts the agent, too', async () => {
  await succeed('agent', 'install', '--kind', 'xdg')
  await manager.stop()
  manager = await startUserManager(home.env)
  expect(await manager.systemctl('start', 'app-keytool\\x2dagent@autostart.service')).toMatchObject({ status: 0 })
  const found = async () => JSON.parse(await succeed('agent', 'status', '--json'))
  await until('the agent', async () => (await found()).running)
  expect(await list()).toMatchObject(answered)
  await succeed('agent', 'stop')
})

test('systemd-analyze finds nothing wrong with the units, and the service less exposed than it would be bare', async () => {
  await succeed('agent', 'install')
  const units = join(home.path, '.config/systemd/user')
  const files = ['keytool-agent.socket', 'keytool-agent.service'].map(name => join(units, name))
  const analyze = (...args: string[]) => runOrThrow(peerPath('systemd-analyze'), ['--user', ...args], { env })
  expect(await analyze('verify', ...files)).toMatchObject({ stdout: '', stderr: '' })

  const exposure = async (path: string) => {
    const { stdout } = await analyze('security', '--offline=true', '--no-pager', path)
    return Number(/exposure level for \S+: ([\d.]+)/.exec(stdout)?.[1])
  }
  const bare = join(home.path, 'bare.service')
  await writeFile(bare, '[Service]\nExecStart=/bin/true\n')
  const ours = await exposure(join(units, 'keytool-agent.service'))
  expect(ours).toBeLessThan((await exposure(bare)) - 1.5)
})

test('the program itself names the place that was started', async () => {
  await succeed('agent', 'install')
  await list()
  const command = (await readFile(`/proc/${await servicePid()}/cmdline`, 'utf8')).split('\0')
  expect(command).toEqual([process.execPath, ...command.slice(1, -4), keytoolPath, 'agent', '-D', ''])
})
