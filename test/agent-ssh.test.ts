import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type OurAgent, startOurAgent } from './agent-fixture.js'
import { type Recorder, readStrings, startRecorder } from './agent-wire.js'
import { type Environment, type Home, opensshOptions, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { keytool, type RunResult, run, runOrThrow } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// What OpenSSH's client says to our agent while it logs in, seen on the wire; and git, which logs in through it.

jest.setTimeout(120_000)

const LIST = 11
const SIGN = 13
const EXTENSION = 27
const SUCCESS = 6
const SIGNATURE = 14

let home: Home
let user: SystemUser
let sshd: Sshd
let agent: OurAgent
let recorder: Recorder
/** The recorder stands where the agent stands. */
let recorded: Environment

beforeAll(async () => {
  home = await temporaryHome()
  user = await createUser()
  sshd = await startSshd({ users: [user], passwordUsers: [] })
  await writeFile(join(home.ssh, 'known_hosts'), sshd.knownHosts)
  agent = await startOurAgent(home)
  for (const [type, file] of Object.entries({ ed25519: key('ed25519'), rsa: key('rsa') })) {
    const made = await keytool(['gen', '-t', type, '-f', file, '--no-passphrase'], { env: home.env })
    expect(made.status).toBe(0)
    await user.authorize(await readFile(`${file}.pub`, 'utf8'))
  }
})

afterAll(async () => {
  await sshd.stop()
  await user.dispose()
  await agent.stop()
  await home.dispose()
})

beforeEach(async () => {
  recorder = await startRecorder(agent.socket, join(home.runtime, 'recorder.sock'))
  recorded = { ...agent.env, SSH_AUTH_SOCK: recorder.socket }
})

afterEach(async () => {
  await recorder.stop()
  expect((await keytool(['remove', '--all'], { env: agent.env })).status).toBe(0)
})

function key(type: string): string {
  return join(home.path, `login-${type}`)
}

async function load(type: string): Promise<void> {
  expect((await keytool(['add', key(type)], { env: agent.env })).status).toBe(0)
}

function ssh(env: Environment, ...options: string[]): Promise<RunResult> {
  const all = [...opensshOptions(home), '-o', 'IdentitiesOnly=no', ...options, '-p', String(sshd.port)]
  return run(peerPath('ssh'), [...all, `${user.name}@${sshd.host}`, 'echo in'], { env })
}

test('ssh sends session-bind first, our agent has checked it, and the login goes on', async () => {
  await load('ed25519')
  const { status, stdout, stderr } = await ssh(recorded, '-vvv')
  expect({ status, stdout }).toEqual({ status: 0, stdout: 'in\n' })

  expect(recorder.requests.map(message => message[0])).toEqual([EXTENSION, LIST, SIGN])
  const [name, hostKey, sessionId] = readStrings((recorder.requests[0] ?? Buffer.alloc(0)).subarray(1))
  expect(name?.toString()).toBe('session-bind@openssh.com')
  // It binds to this very server, so it is not a stray message.
  expect(sshd.knownHosts).toContain(hostKey?.toString('base64'))
  expect(sessionId?.length).toBeGreaterThanOrEqual(20)

  expect(recorder.answers[0]).toEqual(Buffer.from([SUCCESS]))
  expect(recorder.answers[2]?.[0]).toBe(SIGNATURE)
  expect(stderr).not.toContain('agent refused operation')
})

test.each([
  ['rsa-sha2-512', 4, []],
  ['rsa-sha2-256', 2, ['-o', 'PubkeyAcceptedAlgorithms=rsa-sha2-256']],
] as const)('ssh asks for %s with flag %i, and gets it', async (algorithm, flag, options) => {
  await load('rsa')
  const { status, stdout, stderr } = await ssh(recorded, '-vvv', ...options)
  expect({ status, stdout }).toEqual({ status: 0, stdout: 'in\n' })
  expect(stderr).toContain(`signing using ${algorithm} SHA256:`)

  const at = recorder.requests.findIndex(message => message[0] === SIGN)
  expect(recorder.requests[at]?.readUInt32BE(recorder.requests[at].length - 4)).toBe(flag)
  const [signature = Buffer.alloc(0)] = readStrings((recorder.answers[at] ?? Buffer.alloc(0)).subarray(1))
  expect(readStrings(signature)[0]?.toString()).toBe(algorithm)
})

test('git clones and pushes over ssh', async () => {
  await load('ed25519')
  const git = (args: readonly string[], env: Environment = agent.env, cwd = home.path) => {
    const command = [peerPath('ssh'), ...opensshOptions(home), '-p', String(sshd.port)].join(' ')
    const author = { GIT_AUTHOR_NAME: 'Hana', GIT_AUTHOR_EMAIL: 'hana@shop.example' }
    const committer = { GIT_COMMITTER_NAME: 'Hana', GIT_COMMITTER_EMAIL: 'hana@shop.example' }
    const own = {
      GIT_SSH_COMMAND: command,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      ...author,
      ...committer,
    }
    return run(peerPath('git'), args, { env: { ...env, ...own }, cwd })
  }
  const ok = async (args: readonly string[], cwd?: string) => {
    const { status, stdout, stderr } = await git(args, agent.env, cwd)
    expect({ args, status, stderr: status === 0 ? '' : stderr }).toEqual({ args, status: 0, stderr: '' })
    return stdout
  }
  const asUser = ['-p', String(sshd.port), `${user.name}@${sshd.host}`, 'git init -q --bare shop.git']
  await runOrThrow(peerPath('ssh'), [...opensshOptions(home), ...asUser], { env: agent.env })
  const url = `ssh://${user.name}@${sshd.host}:${sshd.port}${user.home}/shop.git`

  const work = join(home.path, 'work')
  await ok(['clone', '-q', url, work])
  await writeFile(join(work, 'order'), 'one kettle\n')
  await ok(['add', 'order'], work)
  await ok(['commit', '-q', '-m', 'an order'], work)
  await ok(['push', '-q', 'origin', 'HEAD:refs/heads/main'], work)

  const copy = join(home.path, 'copy')
  await ok(['clone', '-q', '-b', 'main', url, copy])
  expect(await readFile(join(copy, 'order'), 'utf8')).toBe('one kettle\n')

  // Without the agent there is no way in.
  expect((await git(['ls-remote', url], home.env)).status).toBe(128)
})
