import { lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { until } from './agent-askpass.js'
import {
  during,
  evaluate,
  expectNothingLeft,
  findProcesses,
  isRunning,
  leaveHome,
  type OurAgent,
  startOurAgent,
  waitForEnd,
} from './agent-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { keytool, keytoolPath, run, runOrThrow } from './world/run.js'
import { startKeytool } from './world/start.js'

// The forms in which an agent is started, found and ended: as ssh-agent's, with one fixed place.

jest.setTimeout(120_000)

let home: Home

beforeEach(async () => {
  home = await temporaryHome()
})

afterEach(() => leaveHome(home))

/** The same lines whoever printed them: socket and pid by name. */
function plain(lines: string, socket: string, pid: number): string {
  return lines.replaceAll(socket, 'SOCKET').replaceAll(String(pid), 'PID')
}

async function keys(env: OurAgent['env']): Promise<number | null> {
  return (await run(peerPath('ssh-add'), ['-l'], { env })).status
}

test('a shell evaluates its lines, and the command substitution ends while the agent goes on', async () => {
  const script = 'eval "$("$0" "$1" agent -s)"; echo "$SSH_AUTH_SOCK"; ssh-add -l; "$0" "$1" agent stop >/dev/null'
  const { status, stdout } = await run('/bin/sh', ['-c', script, process.execPath, keytoolPath], { env: home.env })
  const socket = join(home.runtime, 'keytool', 'agent.sock')
  expect({ status, stdout }).toEqual({
    status: 0,
    stdout: expect.stringMatching(/^Agent pid \d+\n\/[^\n]+\nThe agent has no identities\.\n$/),
  })
  expect(stdout).toContain(`\n${socket}\n`)
})

test('socket 0600, folder and pid file as they should be, and nothing else in the folder', async () => {
  const agent = await startOurAgent(home)
  const mode = async (path: string) => ((await lstat(path)).mode & 0o7777).toString(8)
  expect(agent.socket).toBe(join(home.runtime, 'keytool', 'agent.sock'))
  expect(await mode(agent.socket)).toBe('600')
  expect(await mode(join(home.runtime, 'keytool'))).toBe('700')
  expect(await mode(join(home.runtime, 'keytool', 'agent.pid'))).toBe('600')
  await agent.stop()
})

test.each(['-s', '-c'])('%s prints what ssh-agent prints, and -k what it prints', async style => {
  const socket = join(home.runtime, 'theirs.sock')
  const theirs = await run(peerPath('ssh-agent'), [style, '-a', socket], { env: home.env })
  const pid = Number(/pid (\d+)/.exec(theirs.stdout)?.[1])
  const theirEnd = await run(peerPath('ssh-agent'), ['-k', style], { env: { ...home.env, SSH_AGENT_PID: String(pid) } })
  await waitForEnd(pid)

  const agent = await startOurAgent(home)
  const { stdout } = await keytool(['agent', style], { env: agent.env })
  expect(plain(stdout, agent.socket, agent.pid)).toBe(plain(theirs.stdout, socket, pid))
  const ourEnd = await keytool(['agent', '-k', style], { env: agent.env })
  expect(ourEnd).toMatchObject({ status: 0, stderr: '' })
  expect(plain(ourEnd.stdout, agent.socket, agent.pid)).toBe(plain(theirEnd.stdout, socket, pid))
  expect(await isRunning(agent.pid)).toBe(false)
})

test.each([
  ['/bin/sh', 'sh'],
  ['/bin/tcsh', 'csh'],
])('without -s and -c, SHELL=%s decides as for ssh-agent', async (SHELL, style) => {
  const agent = await startOurAgent(home)
  const lines = await keytool(['agent'], { env: { ...home.env, SHELL } })
  expect(lines.stdout).toMatch(style === 'csh' ? /^setenv SSH_AUTH_SOCK / : /^SSH_AUTH_SOCK=/)
  await agent.stop()
})

test('a second start finds the first, its keys included', async () => {
  const agent = await startOurAgent(home)
  const key = join(home.ssh, 'id')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  await runOrThrow(peerPath('ssh-add'), ['-q', key], { env: agent.env })
  const second = await keytool(['agent', '-s'], { env: home.env })
  expect(second).toMatchObject({ status: 0, stdout: agent.lines, stderr: '' })
  expect(await keys(agent.env)).toBe(0)
  const again = await keytool(['agent', '-D'], { env: home.env })
  expect(again).toMatchObject({ status: 4, stdout: '', stderr: expect.stringContaining('answers at') })
  await agent.stop()
})

test('eight starts at the same instant make one agent', async () => {
  const starts = await Promise.all(Array.from({ length: 8 }, () => keytool(['agent', '-s'], { env: home.env })))
  const [first] = starts
  for (const start of starts) expect(start).toEqual({ status: 0, signal: null, stdout: first?.stdout, stderr: '' })
  const { pid, socket } = await evaluate(first?.stdout ?? '')
  // One that came too late may be ending still.
  await until('one agent', async () => (await findProcesses(home)).length === 1)
  expect((await findProcesses(home)).map(each => each.pid)).toEqual([pid])
  expect(await keys({ ...home.env, SSH_AUTH_SOCK: socket })).toBe(1)
  expect((await keytool(['agent', 'stop'], { env: home.env })).status).toBe(0)
})

test('an agent that was killed leaves a dead socket, and the next start replaces it', async () => {
  const first = await startOurAgent(home)
  process.kill(first.pid, 'SIGKILL')
  await waitForEnd(first.pid)
  expect((await lstat(first.socket)).isSocket()).toBe(true)
  expect((await keytool(['list'], { env: first.env })).status).toBe(7)
  expect(JSON.parse((await keytool(['agent', 'status', '--json'], { env: home.env })).stdout)).toMatchObject({
    running: false,
    pid: null,
  })
  const second = await startOurAgent(home)
  expect(second.socket).toBe(first.socket)
  expect(second.pid).not.toBe(first.pid)
  expect(await keys(second.env)).toBe(1)
  await second.stop()
})

test('-a listens elsewhere, beside the one at the fixed place', async () => {
  const fixed = await startOurAgent(home)
  const socket = join(home.runtime, "it's here.sock")
  const other = await keytool(['agent', '-s', '-a', socket], { env: home.env })
  const found = await evaluate(other.stdout)
  expect(found.socket).toBe(socket)
  expect(found.pid).not.toBe(fixed.pid)
  expect(await keys({ ...home.env, SSH_AUTH_SOCK: socket })).toBe(1)
  expect((await keytool(['agent', 'stop', '-a', socket], { env: home.env })).status).toBe(0)
  await expect(lstat(socket)).rejects.toMatchObject({ code: 'ENOENT' })
  expect(await isRunning(fixed.pid)).toBe(true)
  await fixed.stop()
})

test.each(['-D', '-d'])('%s stays in the foreground and prints what ssh-agent -D prints', async flag => {
  const socket = join(home.runtime, 'keytool', 'agent.sock')
  await during(startKeytool(['agent', flag], { env: home.env }), async agent => {
    await agent.waitFor(/echo Agent pid \d+;\n/)
    expect(agent.stdout.text).toBe(`SSH_AUTH_SOCK=${socket}; export SSH_AUTH_SOCK;\necho Agent pid ${agent.pid};\n`)
    expect(await keys({ ...home.env, SSH_AUTH_SOCK: socket })).toBe(1)
    expect(await agent.stop()).toEqual({ status: 0, signal: null })
  })
})

test.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s ends it, and nothing is left', async signal => {
  await during(startKeytool(['agent', '-D'], { env: home.env }), async front => {
    await front.waitFor(/Agent pid/)
    expect(await front.stop(signal)).toEqual({ status: 0, signal: null })
  })
  await expectNothingLeft(home)

  const back = await startOurAgent(home)
  process.kill(back.pid, signal)
  await waitForEnd(back.pid)
})

test('-k ends the agent that SSH_AGENT_PID names, or else ours; without one 7, with nonsense 2', async () => {
  const first = await startOurAgent(home)
  expect((await keytool(['agent', '-k'], { env: first.env })).status).toBe(0)
  const second = await startOurAgent(home)
  const without = await keytool(['agent', '-k'], { env: home.env })
  expect(without).toMatchObject({ status: 0, stdout: expect.stringContaining(`echo Agent pid ${second.pid} killed;`) })
  expect((await keytool(['agent', '-k'], { env: home.env })).status).toBe(7)
  for (const SSH_AGENT_PID of ['-1', '0', '1', 'x', '12 13']) {
    expect((await keytool(['agent', '-k'], { env: { ...home.env, SSH_AGENT_PID } })).status).toBe(2)
  }
})

test('stop ends it with 0, and of none with 7', async () => {
  const agent = await startOurAgent(home)
  await agent.stop()
  expect(await keytool(['agent', 'stop'], { env: home.env })).toMatchObject({
    status: 7,
    stdout: '',
    stderr: expect.stringContaining('no agent answers'),
  })
})

test('status tells the facts of cli.md, running or not', async () => {
  const status = async (env: OurAgent['env']) => {
    const result = await keytool(['agent', 'status', '--json'], { env })
    expect(result).toMatchObject({ status: 0, stderr: '' })
    return JSON.parse(result.stdout)
  }
  const socket = join(home.runtime, 'keytool', 'agent.sock')
  const common = { socket, keychain: 'none', login: 'none', loginState: null }
  expect(await status(home.env)).toEqual({
    ...common,
    running: false,
    pid: null,
    since: null,
    version: null,
    locked: null,
    keys: { sealed: 0, open: 0 },
    shell: { ours: false, SSH_AUTH_SOCK: null, agent: null, fix: expect.stringContaining('agent') },
  })
  const agent = await startOurAgent(home)
  const running = await status(agent.env)
  const whole = {
    ...common,
    running: true,
    pid: agent.pid,
    since: expect.any(String),
    version: (await keytool(['--version'])).stdout.trim().replace('keytool ', ''),
    locked: false,
    keys: { sealed: 0, open: 0 },
    // How much memory may be locked is this machine's affair.
    protection: { dumpable: false, core: false, traceable: false, secureHeap: expect.any(Boolean) },
    troubles: expect.any(Array),
    shell: { ours: true, SSH_AUTH_SOCK: socket, agent: null, fix: null },
  }
  expect(running).toEqual(whole)
  expect(Math.abs(Date.now() - Date.parse(running.since))).toBeLessThan(60_000)
  const key = join(home.ssh, 'id')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', 'right', '-f', key])
  expect((await keytool(['add', '--sealed', key], { env: agent.env })).status).toBe(0)
  expect(await status(agent.env)).toEqual({ ...whole, keys: { sealed: 1, open: 0 } })
  const locked = await keytool(['lock', '--passphrase-file', '-'], { env: agent.env, input: 'sesame\n' })
  expect(locked.status).toBe(0)
  // How many there are is nobody's business then.
  expect(await status(agent.env)).toEqual({ ...whole, locked: true })
  const { fix } = (await status({ ...home.env, SSH_AUTH_SOCK: '/nowhere' })).shell
  expect((await run('/bin/sh', ['-c', `${fix} ssh-add -l`], { env: home.env })).stdout).toContain('no identities')
  await agent.stop()
})

test('without XDG_RUNTIME_DIR the fixed place is under the home', async () => {
  const { XDG_RUNTIME_DIR: _, ...env } = home.env
  const started = await keytool(['agent', '-s'], { env })
  const { socket } = await evaluate(started.stdout)
  expect(socket).toBe(join(home.path, '.local', 'state', 'keytool', 'agent.sock'))
  expect((await keytool(['agent', 'stop'], { env })).status).toBe(0)
  await expect(lstat(socket)).rejects.toMatchObject({ code: 'ENOENT' })
})

test('its folder of work is none that could be wanted away', async () => {
  const place = join(home.path, 'mounted')
  await runOrThrow('/bin/mkdir', [place])
  const started = await keytool(['agent', '-s'], { env: home.env, cwd: place })
  const { pid } = await evaluate(started.stdout)
  await runOrThrow('/bin/rmdir', [place])
  expect(await readFile(`/proc/${pid}/stat`, 'utf8')).toContain(String(pid))
  expect((await run('/bin/readlink', [`/proc/${pid}/cwd`])).stdout).not.toContain('mounted')
  expect((await keytool(['agent', 'stop'], { env: home.env })).status).toBe(0)
})
