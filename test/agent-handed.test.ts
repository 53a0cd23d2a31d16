import { spawn } from 'node:child_process'
import { chmod, lstat, mkdir, open, readdir, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { jest } from '@jest/globals'
import { during, findProcesses, leaveHome, startOurAgent, waitForEnd } from './agent-fixture.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { keytool, keytoolPath, run } from './world/run.js'
import { type Running, start } from './world/start.js'

// A socket on which somebody else listens: systemd-socket-activate, and what it would have to be refused.

jest.setTimeout(120_000)

let home: Home
let socket: string
let env: Environment
/** What listens in this process. */
let servers: Server[] = []

beforeEach(async () => {
  home = await temporaryHome()
  socket = join(home.runtime, 'keytool', 'agent.sock')
  env = { ...home.env, SSH_AUTH_SOCK: socket }
  await mkdir(join(home.runtime, 'keytool'), { mode: 0o700 })
})

afterEach(async () => {
  // Closing removes what was bound.
  for (const server of servers) await new Promise(resolve => server.close(resolve))
  servers = []
  await leaveHome(home)
})

const list = () => run(peerPath('ssh-add'), ['-l'], { env })
const answered = { status: 1, stdout: 'The agent has no identities.\n', stderr: '' }

/**
 * A program in the place of the service manager: it holds the socket open, and starts the agent whenever it ends, after a
 * while in which nobody answers. $1: how often.
 */
const HOLDER = `n=0
while [ $n -lt "$1" ]; do
  n=$((n + 1))
  sh -c 'LISTEN_PID=$$ exec "$0" "$@"' "$2" "$3" agent -D
  echo "ended $?"
  sleep 0.3
done`

function activate(times: number): Promise<Running> {
  return activateAt(socket, ['/bin/sh', '-c', HOLDER, 'sh', String(times), process.execPath, keytoolPath])
}

async function activateAt(path: string, program: readonly string[]): Promise<Running> {
  const handOn = Object.keys(home.env).flatMap(name => ['-E', name])
  const args = [...handOn, '-l', path, ...program]
  const running = await start(peerPath('systemd-socket-activate'), args, { env: home.env })
  await running.waitFor(/Listening on/)
  return running
}

async function remove(): Promise<void> {
  const { status, stderr } = await run('/bin/rm', [socket])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
}

const agents = async () => (await findProcesses(home)).filter(({ command }) => command.endsWith('agent -D'))

test('the first connection starts it, its end leaves the socket, and no connection is lost', async () => {
  await during(activate(4), async holder => {
    expect(await agents()).toEqual([])
    const { ino } = await lstat(socket)
    // More at once, and before it runs.
    for (const each of await Promise.all(Array.from({ length: 8 }, list))) expect(each).toMatchObject(answered)
    for (const signal of ['SIGKILL', 'SIGTERM', 'SIGKILL'] as const) {
      const [agent] = await agents()
      if (!agent) throw new Error('no agent runs')
      process.kill(agent.pid, signal)
      await waitForEnd(agent.pid)
      for (const each of await Promise.all(Array.from({ length: 8 }, list))) expect(each).toMatchObject(answered)
      expect((await lstat(socket)).ino).toBe(ino)
      expect(await agents()).toHaveLength(1)
    }
    // Whoever is started by hand finds it, and starts nothing.
    const [agent] = await agents()
    const byHand = await keytool(['agent', '-s'], { env })
    expect(byHand).toMatchObject({ status: 0, stdout: expect.stringContaining(`SSH_AGENT_PID=${agent?.pid};`) })
    expect(await keytool(['agent', '-D'], { env })).toMatchObject({
      status: 4,
      stderr: expect.stringContaining('answers'),
    })
    expect(await readdir(join(home.runtime, 'keytool'))).toEqual(['agent.pid', 'agent.sock'])
    expect((await keytool(['agent', 'stop'], { env })).status).toBe(0)
    expect(await holder.exit).toEqual({ status: 0, signal: null })
    expect(holder.stdout.text.match(/^ended \d+$/gm)).toEqual(['ended 137', 'ended 0', 'ended 137', 'ended 0'])
  })
  // The path is not the agent's to remove.
  expect(await readdir(join(home.runtime, 'keytool'))).toEqual(['agent.sock'])
  await remove()
})

test('a program under an agent, and an agent for this once, leave the socket alone', async () => {
  const handed = await listenAt(socket)
  const script = ['/bin/sh', '-c', 'echo "$SSH_AUTH_SOCK"; env | grep -c LISTEN_PID=$$']
  for (const words of [
    ['--', ...script],
    ['-T', '--', ...script],
  ]) {
    const { status, stdout } = await handOver(['agent', ...words], handed)
    // Neither is the program told that the socket is for it.
    expect({ status, stdout }).toEqual({ status: 1, stdout: expect.stringMatching(/^\/.*\n0\n$/) })
    expect(stdout).not.toContain(socket)
  }
})

/** node names no descriptor of a server's; its handle knows it. */
function descriptorOf(server: Server): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd
}

async function listenAt(path: string | { host: string; port: number }, mode = 0o600): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve))
  servers.push(server)
  if (typeof path === 'string') await chmod(path, mode)
  return descriptorOf(server)
}

/** Runs the program with one more descriptor, and says that it is handed over. */
function handOver(args: readonly string[], descriptor: number, count = 1) {
  const script = `LISTEN_FDS=${count} LISTEN_PID=$$ exec "$@"`
  return runWith(descriptor, ['/bin/sh', '-c', script, 'sh', process.execPath, keytoolPath, ...args])
}

async function runWith(descriptor: number, [program = '', ...args]: readonly string[]) {
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe', descriptor] })
  const read = async (stream: Readable | null) => {
    let text = ''
    for await (const part of stream ?? []) text += part
    return text
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
  const exit = new Promise<number | null>(resolve => child.once('exit', resolve))
  const [stdout, stderr, status] = await Promise.all([read(child.stdout), read(child.stderr), exit])
  clearTimeout(timer)
  return { status, stdout, stderr }
}

describe('refused, with the reason, and nothing is left:', () => {
  const refused: readonly [string, () => Promise<number>, number, RegExp][] = [
    ['a socket at another path', () => listenAt(join(home.runtime, 'keytool', 'other')), 1, /not there any more/],
    ['a TCP socket', () => listenAt({ host: '127.0.0.1', port: 0 }), 1, /not there any more/],
    ['one that others can connect to', () => listenAt(socket, 0o666), 1, /others can connect/],
    ['two sockets', () => listenAt(socket), 2, /LISTEN_FDS is "2"/],
  ]
  test.each(refused)('%s', async (_, openOne, count, reason) => {
    const { status, stdout, stderr } = await handOver(['agent', '-D'], await openOne(), count)
    expect({ status, stdout }).toEqual({ status: count === 1 ? 4 : 1, stdout: '' })
    expect(stderr).toMatch(reason)
    expect((await readdir(join(home.runtime, 'keytool'))).filter(name => !/^(agent\.sock|other)$/.test(name))).toEqual(
      [],
    )
  })

  test('a socket at another path, where one is at ours, too', async () => {
    await listenAt(socket)
    const { status, stderr } = await handOver(['agent', '-D'], await listenAt(join(home.runtime, 'other')))
    expect({ status, stderr }).toEqual({ status: 4, stderr: expect.stringMatching(/it listens at \S*other/) })
  })

  test('a file', async () => {
    await listenAt(socket)
    await writeFile(join(home.path, 'file'), '')
    const file = await open(join(home.path, 'file'))
    const { status, stderr } = await handOver(['agent', '-D'], file.fd)
    await file.close()
    expect({ status, stderr }).toEqual({ status: 4, stderr: expect.stringContaining('no Unix socket') })
  })
})

test('with -a, one at the place that it names is taken', async () => {
  const path = join(home.path, 'mine.sock')
  const program = [process.execPath, keytoolPath, 'agent', '-D', '-a', path]
  await during(activateAt(path, program), async running => {
    const { stdout } = await run(peerPath('ssh-add'), ['-l'], { env: { ...env, SSH_AUTH_SOCK: path } })
    expect(stdout).toBe(answered.stdout)
    expect((await keytool(['agent', 'stop', '-a', path], { env })).status).toBe(0)
    expect((await running.exit).status).toBe(0)
  })
  expect((await lstat(path)).isSocket()).toBe(true)
})

test('variables that are for another process change nothing', async () => {
  const agent = await startOurAgent({ ...home, env: { ...home.env, LISTEN_PID: '1', LISTEN_FDS: '1' } })
  expect(await list()).toMatchObject(answered)
  await agent.stop()
})
