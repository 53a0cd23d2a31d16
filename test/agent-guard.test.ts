import { chmod, chown, lstat, mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { jest } from '@jest/globals'
import {
  during,
  findListeners,
  leaveHome,
  readProcess,
  startOurAgent,
  takeSnapshot,
  waitForEnd,
} from './agent-fixture.js'
import { connectRaw } from './agent-wire.js'
import { findDescendants } from './world/descendants.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { keytool, run, runOrThrow } from './world/run.js'
import { type Running, start, startKeytool } from './world/start.js'

// What our agent refuses to use, and what nobody may see or open of it.

jest.setTimeout(120_000)

/** Neither root's nor anybody's of this system. */
const STRANGER = 54321

let home: Home
let folder: string
let socket: string

beforeEach(async () => {
  home = await temporaryHome()
  folder = join(home.runtime, 'keytool')
  socket = join(folder, 'agent.sock')
})

afterEach(() => leaveHome(home))

/** What stands in the agent's way, and the word that says so. */
const obstacles: Readonly<Record<string, readonly [make: () => Promise<void>, word: RegExp]>> = {
  'a regular file in the place of the socket': [
    async () => {
      await mkdir(folder, { mode: 0o700 })
      await writeFile(socket, 'somebody else wrote this\n')
    },
    /not a socket/,
  ],
  'a link in the place of the socket, to nothing': [
    async () => {
      await mkdir(folder, { mode: 0o700 })
      await symlink(join(home.path, 'elsewhere.sock'), socket)
    },
    /link/,
  ],
  'a link in the place of the socket, to a file': [
    async () => {
      await mkdir(folder, { mode: 0o700 })
      await writeFile(join(home.path, 'precious'), 'precious\n')
      await symlink(join(home.path, 'precious'), socket)
    },
    /link/,
  ],
  'a folder that others can read': [() => mkdir(folder, { mode: 0o755 }), /0755/],
  'a folder that others can write to': [
    async () => {
      await mkdir(folder)
      await chmod(folder, 0o1777)
    },
    /1777/,
  ],
  "another user's folder": [
    async () => {
      await mkdir(folder, { mode: 0o700 })
      await chown(folder, STRANGER, STRANGER)
    },
    /another user/,
  ],
  'a link in the place of the folder': [
    async () => {
      await mkdir(join(home.path, 'trap'), { mode: 0o700 })
      await symlink(join(home.path, 'trap'), folder)
    },
    /link/,
  ],
  'a file in the place of the folder': [() => writeFile(folder, 'a file\n', { mode: 0o600 }), /not a folder/],
}

test.each(Object.entries(obstacles))('%s is refused with 4, and nothing is changed', async (_, [make, word]) => {
  await make()
  const before = await takeSnapshot(home.path)
  for (const flag of ['-s', '-D']) {
    const { status, stdout, stderr } = await keytool(['agent', flag], { env: home.env })
    expect({ status, stdout, stderr }).toEqual({ status: 4, stdout: '', stderr: expect.stringMatching(word) })
    expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(3)
  }
  expect(await takeSnapshot(home.path)).toEqual(before)
  // Removed by us, so that the check for things left behind sees only what the agent left.
  await rename(folder, join(home.path, 'obstacle'))
})

test("a socket of another user's program is refused, and stays", async () => {
  await mkdir(folder, { mode: 0o700 })
  const script = 'const s = require("net").createServer().listen(process.argv[1], () => console.log("up"))'
  const refused = { status: 4, stdout: '', stderr: expect.stringContaining('another user') }
  let before: string[] = []
  await during(start(process.execPath, ['-e', script, socket]), async other => {
    await other.waitFor(/up/)
    await chown(socket, STRANGER, STRANGER)
    before = await takeSnapshot(folder)
    expect(await keytool(['agent', '-D'], { env: home.env })).toMatchObject(refused)
    expect(await takeSnapshot(folder)).toEqual(before)
    await other.stop('SIGKILL')
  })
  // Dead, it is no more ours to remove.
  expect((await lstat(socket)).uid).toBe(STRANGER)
  expect(await keytool(['agent', '-D'], { env: home.env })).toMatchObject(refused)
  expect(await takeSnapshot(folder)).toEqual(before)
  await rename(folder, join(home.path, 'obstacle'))
})

test('SIGUSR1 opens no debugger, and the agent goes on', async () => {
  const agent = await startOurAgent(home)
  process.kill(agent.pid, 'SIGUSR1')

  // What becomes of a program that does not take care: without this, the silence below would prove nothing.
  const careless = ['--inspect-port=127.0.0.1:0', '-e', 'setInterval(() => {}, 1000); console.log("up")']
  await during(start(process.execPath, careless), async ({ pid, waitFor }) => {
    await waitFor(/up/)
    process.kill(pid, 'SIGUSR1')
    await waitFor(/Debugger listening/)
    expect(await findListeners(pid)).toHaveLength(1)
  })

  process.kill(agent.pid, 'SIGUSR1')
  await sleep(300)
  expect(await findListeners(agent.pid)).toEqual([])
  expect((await run(peerPath('ssh-add'), ['-l'], { env: agent.env })).stdout).toContain('no identities')
  await agent.stop()
})

test('NODE_OPTIONS of whoever starts it opens no debugger either', async () => {
  const agent = await startOurAgent({ ...home, env: { ...home.env, NODE_OPTIONS: '--inspect=127.0.0.1:0' } })
  expect(await findListeners(agent.pid)).toEqual([])
  await agent.stop()
})

describe('secrets', () => {
  const secret = 'Xyzzy-plugh-4711'

  /** What the machine can see of a program and its children while it takes a secret in, and works with it. */
  async function watch(args: readonly string[], env: Home['env']): Promise<string> {
    return during(startKeytool(args, { env }), running => watchRunning(running, args))
  }

  async function watchRunning(running: Running, args: readonly string[]): Promise<string> {
    const seen: string[] = []
    let ended = false
    void running.exit.then(() => {
      ended = true
    })
    const look = async () => {
      const pids = [running.pid, ...(await findDescendants(running.pid))]
      for (const pid of pids) seen.push(JSON.stringify(await readProcess(pid)))
    }
    running.write(secret)
    // Without the line's end it waits for more. Long enough for it to have read what is there.
    await sleep(400)
    await look()
    expect(seen[0]).toContain(args[0])
    running.write('\n')
    running.endInput()
    while (!ended) await look()
    const { status } = await running.exit
    expect({ args, status, stderr: running.stderr.text }).toEqual({ args, status: 0, stderr: '' })
    return [...seen, running.stdout.text].join('\n')
  }

  async function readAll(path: string): Promise<string> {
    const entries = await readdir(path, { recursive: true, withFileTypes: true })
    const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
    return (await Promise.all(files.map(file => readFile(file, 'latin1')))).join('\n')
  }

  test('stand in no command line, no environment, no output and no file', async () => {
    const agent = await startOurAgent(home)
    const key = join(home.ssh, 'id')
    const seen: string[] = []
    for (const args of [
      ['gen', '-t', 'ed25519', '-f', key, '--passphrase-file', '-'],
      ['add', key, '--passphrase-file', '-'],
      ['lock', '--passphrase-file', '-'],
      ['unlock', '--passphrase-file', '-'],
    ]) {
      seen.push(await watch(args, agent.env))
    }
    expect((await run(peerPath('ssh-add'), ['-l'], { env: agent.env })).status).toBe(0)
    seen.push(JSON.stringify(await readProcess(agent.pid)), await readAll(home.path))
    expect(seen.join('\n')).toContain(agent.socket)
    expect(seen.join('\n')).not.toContain(secret)
    await agent.stop()
  })

  test('can be no option', async () => {
    const key = join(home.ssh, 'id')
    for (const command of ['gen', 'add', 'lock', 'unlock']) {
      const words = command === 'gen' ? ['-f', key] : command === 'add' ? [key] : []
      const { status, stderr } = await keytool([command, ...words, '--passphrase', secret], { env: home.env })
      expect({ command, status }).toEqual({ command, status: 2 })
      expect(stderr).not.toContain(secret)
    }
    await expect(lstat(key)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

test('another user of the system can neither reach nor signal it', async () => {
  // The way to the folder is opened, so that only the agent's own folder and socket stand in the way.
  for (let path = dirname(folder); path.startsWith(home.path); path = dirname(path)) await chmod(path, 0o755)
  const agent = await startOurAgent(home)
  const stranger = `process.setgid(${STRANGER}); process.setuid(${STRANGER});
    const say = word => { console.log(word); process.exit() }
    require('net').connect(process.argv[1]).on('connect', () => say('in')).on('error', error => say(error.code))`
  const tryIt = async () => (await runOrThrow(process.execPath, ['-e', stranger, agent.socket])).stdout.trim()
  expect(await tryIt()).toBe('EACCES')
  // Even with the folder open, the socket's own mode stops them.
  await chmod(folder, 0o755)
  expect(await tryIt()).toBe('EACCES')
  await chmod(folder, 0o700)
  await agent.stop()
})

test('stopping cuts off who is connected', async () => {
  const agent = await startOurAgent(home)
  const client = await connectRaw(agent.socket)
  expect((await client.ask(11))[0]).toBe(12)
  await agent.stop()
  await client.closed
  await waitForEnd(agent.pid)
})
