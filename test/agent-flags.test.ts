import { access, lstat, mkdir, readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { jest } from '@jest/globals'
import { during, evaluate, leaveHome, startOurAgent, waitForEnd } from './agent-fixture.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { keytool, run, runOrThrow } from './world/run.js'
import { startKeytool } from './world/start.js'

// ssh-agent's flags, those of 9.2 and of 10.6: taken, or refused, knowingly.

jest.setTimeout(120_000)

let home: Home
/** A folder for temporary files of its own. */
let env: Environment
let temporary: string

beforeEach(async () => {
  home = await temporaryHome()
  temporary = join(home.path, 'tmp')
  await mkdir(temporary)
  env = { ...home.env, TMPDIR: temporary }
})

afterEach(() => leaveHome(home))

async function keys(socket: string): Promise<number | null> {
  return (await run(peerPath('ssh-add'), ['-l'], { env: { ...env, SSH_AUTH_SOCK: socket } })).status
}

test('-T: a new agent each time, in a folder that goes with it, beside the one at the fixed place', async () => {
  const fixed = await startOurAgent(home)
  const [one, two] = await Promise.all(
    Array.from({ length: 2 }, async () => evaluate((await keytool(['agent', '-s', '-T'], { env })).stdout)),
  )
  if (!one || !two) throw new Error('not started')
  expect(new Set([fixed.pid, one.pid, two.pid]).size).toBe(3)
  const key = join(home.ssh, 'id')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  await runOrThrow(peerPath('ssh-add'), ['-q', key], { env: { ...env, SSH_AUTH_SOCK: one.socket } })
  expect(await Promise.all([one, two, fixed].map(({ socket }) => keys(socket)))).toEqual([0, 1, 1])
  for (const { socket, pid } of [one, two]) {
    expect(dirname(dirname(socket))).toBe(temporary)
    expect((await lstat(dirname(socket))).mode & 0o777).toBe(0o700)
    const end = await keytool(['agent', '-k'], { env: { ...env, SSH_AGENT_PID: String(pid) } })
    expect(end.status).toBe(0)
    await waitForEnd(pid)
  }
  expect(await readdir(temporary)).toEqual([])
  // Folders of ledgers would gather, one for each that ever was.
  expect(await readdir(join(home.path, '.local', 'state', 'keytool', 'ledger'))).toEqual(['agent'])
  await fixed.stop()
})

test('-T in the foreground, for a program, and with -a, which says where', async () => {
  await during(startKeytool(['agent', '-D', '-T'], { env }), async agent => {
    await agent.waitFor(/Agent pid/)
    const [, socket = ''] = /SSH_AUTH_SOCK=([^;]+);/.exec(agent.stdout.text) ?? []
    expect(dirname(dirname(socket))).toBe(temporary)
    expect(await agent.stop()).toEqual({ status: 0, signal: null })
  })
  const shown = await keytool(['agent', '-T', 'sh', '-c', 'echo "$SSH_AUTH_SOCK"'], { env })
  expect(dirname(dirname(shown.stdout))).toBe(temporary)
  expect(await readdir(temporary)).toEqual([])
  const socket = join(home.runtime, 'here.sock')
  await during(startKeytool(['agent', '-d', '-T', '-a', socket], { env }), async agent => {
    await agent.waitFor(/Agent pid/)
    await access(socket)
    expect(await readdir(temporary)).toEqual([])
  })
})

test('-T where there is no room for it', async () => {
  const nowhere = { ...env, TMPDIR: join(home.path, 'nowhere') }
  for (const args of [['-T'], ['-D', '-T'], ['-T', 'true']]) {
    expect(await keytool(['agent', ...args], { env: nowhere })).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringContaining("nowhere can't hold the agent's socket: ENOENT"),
    })
  }
})

test.each<[readonly string[], RegExp]>([
  [['-s', '-c'], /contradict/],
  [['-E', 'crc32'], /no hash/],
  [['-O', 'no-restrict'], /no option of ssh-agent/],
  [['-O', 'no-restrict-websafe', '-O', 'websafe'], /no option of ssh-agent/],
  [['-A'], /unknown option/],
  [['-t', 'soon'], /not a time/],
  ...['-s', '-c', '-k', '-D', '-d', '-u'].map((flag): [string[], RegExp] => [[flag, 'true'], /with a program/]),
])('refused: agent %j', async (args, message) => {
  expect(await keytool(['agent', ...args], { env })).toMatchObject({
    status: 2,
    stdout: '',
    stderr: expect.stringMatching(message),
  })
})

test('taken: what changes nothing here', async () => {
  const flags = ['-U', '-E', 'MD5', '-P', '/usr/lib/*', '-O', 'no-restrict-websafe', '-O', 'websafe-allow=ssh:*']
  const result = await keytool(['agent', ...flags, '-P/*', '-O', 'allow-remote-pkcs11', 'echo', '-u', '-V'], { env })
  expect(result).toMatchObject({ status: 0, stdout: '-u -V\n' })
  for (const flag of ['-u', '-uu'])
    expect(await keytool(['agent', flag], { env })).toMatchObject({ status: 0, stdout: '' })
  expect((await keytool(['agent', '-V'], { env })).stdout).toBe((await keytool(['--version'])).stdout)
})
