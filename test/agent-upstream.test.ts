import { chown, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { makeAskpass, until } from './agent-askpass.js'
import { leaveHome, type OurAgent, startOurAgent, untilWritten } from './agent-fixture.js'
import { connectRaw, string, uint32 } from './agent-wire.js'
import { type Environment, type Home, opensshOptions, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { residentKeytool } from './world/resident.js'
import { keytool, type RunResult, run, runOrThrow } from './world/run.js'
import { type SshAgent, startSshAgent } from './world/ssh-agent.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'

// Our agent before another one: OpenSSH's, whose keys are served under our agent's policy.

jest.setTimeout(120_000)

const PASSPHRASE = 'Xyzzy-plugh-4711'

/** Holds the key files of all tests. */
let store: Home
let user: SystemUser
let sshd: Sshd
/** Another host, which knows the same user. */
let elsewhere: Sshd

let home: Home
/** The other agent's own. */
let homeBehind: Home
let behind: SshAgent
let ours: OurAgent

beforeAll(async () => {
  store = await temporaryHome()
  await Promise.all([
    makeKey('mine'),
    makeKey('theirs'),
    makeKey('second', '-t', 'rsa', '-b', '2048'),
    makeKey('sealed', '-N', PASSPHRASE),
  ])
  user = await createUser()
  const options = { users: [user], passwordUsers: [] }
  ;[sshd, elsewhere] = await Promise.all([startSshd(options), startSshd(options)])
  await user.authorize(await publicLine('theirs'), await publicLine('second'), await publicLine('sealed'))
})

afterAll(async () => {
  await Promise.all([sshd.stop(), elsewhere.stop()])
  await user.dispose()
  await store.dispose()
})

beforeEach(async () => {
  home = await temporaryHome()
  await writeFile(join(home.ssh, 'known_hosts'), sshd.knownHosts + elsewhere.knownHosts)
  homeBehind = await temporaryHome()
  behind = await startSshAgent(homeBehind)
})

afterEach(async () => {
  await behind.stop()
  await leaveHome(homeBehind)
  await leaveHome(home)
})

const file = (name: string) => join(store.ssh, name)
const publicLine = async (name: string) => (await readFile(`${file(name)}.pub`, 'utf8')).trim()

async function makeKey(name: string, ...more: string[]): Promise<void> {
  const how = ['-q', '-t', 'ed25519', '-a', '1', '-N', '', '-C', name, ...more, '-f', file(name)]
  await runOrThrow(peerPath('ssh-keygen'), how)
}

async function fingerprintOf(name: string): Promise<string> {
  const { stdout } = await runOrThrow(peerPath('ssh-keygen'), ['-l', '-f', `${file(name)}.pub`])
  return stdout.split(' ')[1] ?? ''
}

const give = (name: string, ...flags: string[]) =>
  runOrThrow(peerPath('ssh-add'), ['-q', ...flags, file(name)], { env: behind.env })

/** The keys that an agent lists to ssh-add, by their comments. */
async function listed(env: Environment): Promise<string[]> {
  const { stdout } = await run(peerPath('ssh-add'), ['-L'], { env })
  return stdout
    .split('\n')
    .filter(line => line.startsWith('ssh-'))
    .map(line => line.split(' ')[2] ?? '')
}

async function startOurs(more: Environment = {}, args = ['--upstream', behind.socket]): Promise<OurAgent> {
  const started = await startOurAgent({ ...home, env: { ...home.env, ...more } }, ['-s', ...args])
  ours = { ...started, env: { ...home.env, SSH_AUTH_SOCK: started.socket } }
  return ours
}

async function ok(...args: string[]): Promise<RunResult> {
  const result = await residentKeytool(args, { env: ours.env })
  expect({ args, ...result }).toMatchObject({ args, status: 0 })
  return result
}

const list = async (): Promise<{ comment: string; [fact: string]: unknown }[]> =>
  JSON.parse((await ok('list', '--json')).stdout)
const status = async () => JSON.parse((await ok('agent', 'status', '--json')).stdout)
const ledger = async (): Promise<{ action: string; verdict?: string; [fact: string]: unknown }[]> => {
  await untilWritten(ours.socket)
  return JSON.parse((await ok('log', '-n', '0', '--json')).stdout)
}
const signatures = async () => (await ledger()).filter(({ action }) => action === 'sign')

function login(name: string, host = sshd): Promise<RunResult> {
  const how = [...opensshOptions(home), '-o', 'IdentitiesOnly=yes', '-i', `${file(name)}.pub`, '-p', String(host.port)]
  return run(peerPath('ssh'), [...how, `${user.name}@${host.host}`, 'echo in'], { env: ours.env })
}

/** Whether ssh-add gets a signature of that key. */
const signs = async (name: string) =>
  (await run(peerPath('ssh-add'), ['-T', `${file(name)}.pub`], { env: ours.env })).status === 0

async function writePolicy(policy: object): Promise<void> {
  const folder = join(home.path, '.config', 'keytool')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeFile(join(folder, 'agent.json'), JSON.stringify({ version: 1, ...policy }), { mode: 0o600 })
}

test('its keys are listed behind ours, told apart, and log in; the ledger has them', async () => {
  await give('theirs')
  await give('second')
  await startOurs()
  await ok('add', file('mine'))
  expect(await listed(ours.env)).toEqual(['mine', 'theirs', 'second'])
  expect((await list()).map(({ comment, origin, state }) => [comment, origin, state])).toEqual([
    ['mine', 'added', 'open'],
    ['theirs', 'upstream', 'open'],
    ['second', 'upstream', 'open'],
  ])
  const { stdout } = await ok('list')
  expect(stdout.match(/^.*$/gm)?.map(line => line.endsWith(', from the agent behind'))).toEqual([
    false,
    true,
    true,
    false,
  ])
  expect((await ok('agent', 'status')).stdout).toMatch(/^keys +1 open, 0 sealed, 2 from the agent behind$/m)
  expect(await status()).toMatchObject({ keys: { open: 1, sealed: 0 }, troubles: [] })

  for (const name of ['theirs', 'second']) {
    expect(await login(name)).toMatchObject({ status: 0, stdout: 'in\n' })
    expect(await signs(name)).toBe(true)
    expect(await signatures()).toContainEqual(
      expect.objectContaining({
        verdict: 'allowed',
        key: await fingerprintOf(name),
        purpose: 'login',
        user: user.name,
        host: `[127.0.0.1]:${sshd.port}`,
      }),
    )
  }
  expect(await signs('mine')).toBe(true)
  await ours.stop()
})

test('the policy applies to its keys: hosts, programs, what is no login', async () => {
  await give('theirs')
  await give('second')
  await writePolicy({
    keys: [
      { fingerprint: await fingerprintOf('theirs'), hosts: [`[127.0.0.1]:${sshd.port}`] },
      { fingerprint: await fingerprintOf('second'), programs: ['no-such-program'] },
    ],
  })
  await startOurs()
  expect(await login('theirs')).toMatchObject({ status: 0, stdout: 'in\n' })
  // A host that the rule does not name does not even see it.
  const refused = await login('theirs', elsewhere)
  expect({ status: refused.status, stdout: refused.stdout }).toEqual({ status: 255, stdout: '' })
  expect(await signs('theirs')).toBe(false)
  expect((await login('second')).status).toBe(255)
  expect(await signs('second')).toBe(false)
  // The other agent would have signed it all.
  const direct = await run(peerPath('ssh-add'), ['-T', `${file('second')}.pub`], { env: behind.env })
  expect(direct.status).toBe(0)

  const reasons = (await signatures()).filter(({ verdict }) => verdict === 'refused').map(({ reason }) => reason)
  expect(reasons).toContainEqual(expect.stringMatching(/^theirs is only for logins to /))
  expect(reasons).toContainEqual(expect.stringMatching(/^second is only for no-such-program/))
  await ours.stop()
})

test('a use of its keys is confirmed where the policy says so', async () => {
  const folder = join(home.path, 'askpass')
  await mkdir(folder)
  const askpass = await makeAskpass(folder)
  await give('theirs')
  await writePolicy({ keys: [{ fingerprint: await fingerprintOf('theirs'), confirm: true }] })
  await startOurs(askpass.env)
  expect(await list()).toMatchObject([{ comment: 'theirs', origin: 'upstream', confirm: true }])

  const first = login('theirs')
  const { text, kind } = await askpass.waitFor(1)
  expect(kind).toBe('confirm')
  expect(text).toContain(` wants theirs for ${user.name}@[127.0.0.1]:${sshd.port}`)
  await askpass.answer(1, 'yes')
  expect(await first).toMatchObject({ status: 0, stdout: 'in\n' })

  const second = login('theirs')
  await askpass.waitFor(2)
  await askpass.refuse(2)
  expect(await second).toMatchObject({ status: 255, stdout: '' })
  expect(await askpass.count()).toBe(2)
  expect((await signatures()).map(({ verdict }) => verdict)).toEqual(['allowed', 'refused'])
  await ours.stop()
})

test('what the other agent refuses is refused, and in the ledger', async () => {
  // It is to ask at each use, and has nothing to ask with.
  await give('theirs', '-c')
  await give('second')
  await startOurs()
  expect((await login('theirs')).status).toBe(255)
  expect(await signatures()).toEqual([expect.objectContaining({ verdict: 'refused' })])
  expect(await login('second')).toMatchObject({ status: 0 })
  expect(await status()).toMatchObject({ troubles: [] })
  await ours.stop()
})

test('its destinations hold: it learns which host a connection is bound to', async () => {
  const hosts = join(home.ssh, 'known_hosts')
  await give('theirs', '-H', hosts, '-h', `[127.0.0.1]:${sshd.port}`)
  await startOurs()
  expect(await listed(ours.env)).toEqual(['theirs'])
  expect(await login('theirs')).toMatchObject({ status: 0, stdout: 'in\n' })
  expect(await login('theirs', elsewhere)).toMatchObject({ status: 255, stdout: '' })
  // It signs nothing for who is bound to no host.
  expect(await signs('theirs')).toBe(false)
  await ours.stop()
})

test('it goes away and comes back', async () => {
  await give('theirs')
  await startOurs()
  await ok('add', file('mine'))
  expect(await listed(ours.env)).toEqual(['mine', 'theirs'])
  const { socket } = behind
  await behind.stop()
  expect(await listed(ours.env)).toEqual(['mine'])
  expect((await login('theirs')).status).toBe(255)
  expect(await signs('mine')).toBe(true)
  expect((await status()).troubles).toEqual([expect.stringContaining(socket)])
  expect((await ok('agent', 'status')).stderr).toMatch(/the agent behind does not answer at /)

  behind = await startSshAgent(homeBehind)
  expect(behind.socket).toBe(socket)
  await give('theirs')
  expect(await listed(ours.env)).toEqual(['mine', 'theirs'])
  expect(await login('theirs')).toMatchObject({ status: 0, stdout: 'in\n' })
  expect((await status()).troubles).toEqual([])
  await ours.stop()
})

test('it need not be there yet when ours starts', async () => {
  await behind.stop()
  await startOurs()
  expect(await listed(ours.env)).toEqual([])
  behind = await startSshAgent(homeBehind)
  await give('theirs')
  expect(await listed(ours.env)).toEqual(['theirs'])
  await ours.stop()
})

test('it is killed while a connection stands, and another takes its place: nobody notices', async () => {
  await give('theirs')
  await startOurs()
  const blob = Buffer.from((await publicLine('theirs')).split(' ')[1] ?? '', 'base64')
  const client = await connectRaw(ours.socket)
  const request = [string(blob), string('data'), uint32(0)]
  expect((await client.ask(13, ...request))[0]).toBe(14)
  await behind.stop()
  behind = await startSshAgent(homeBehind)
  await give('theirs')
  await client.ask(11)
  expect((await client.ask(13, ...request))[0]).toBe(14)
  client.destroy()
  await ours.stop()
})

describe('its keys are its own', () => {
  test.each<[string, (run: () => OurAgent) => Promise<unknown>]>([
    ['keytool remove --all', () => ok('remove', '--all')],
    ['ssh-add -D', agent => runOrThrow(peerPath('ssh-add'), ['-q', '-D'], { env: agent().env })],
    ['SIGUSR1', async agent => process.kill(agent().pid, 'SIGUSR1')],
  ])('%s takes ours only', async (_, drop) => {
    await give('theirs')
    await startOurs()
    await ok('add', file('mine'))
    expect(await listed(ours.env)).toEqual(['mine', 'theirs'])
    await drop(() => ours)
    await until('the end of ours', async () => (await listed(ours.env)).length === 1)
    expect(await listed(ours.env)).toEqual(['theirs'])
    expect(await listed(behind.env)).toEqual(['theirs'])
    await ours.stop()
  })

  test('remove --all says what it removed, and that the others stay', async () => {
    await give('theirs')
    await startOurs()
    await ok('add', file('mine'))
    const { stdout, stderr } = await ok('remove', '--all')
    expect({ stdout, stderr }).toEqual({
      stdout: 'ok removed 1 key\n',
      stderr: '1 key of the agent behind this one stays\n',
    })
    await ok('add', file('mine'))
    expect(JSON.parse((await ok('remove', '--all', '--json')).stdout)).toEqual([
      { fingerprint: await fingerprintOf('mine') },
    ])
    await ours.stop()
  })

  test('one by one they can be neither removed, sealed nor opened here', async () => {
    await give('theirs')
    await startOurs()
    for (const args of [
      ['remove', file('theirs')],
      ['reencrypt', file('theirs')],
      ['unlock', file('theirs'), '--passphrase-file', '-'],
    ]) {
      const refused = await residentKeytool(args, { env: ours.env, input: `${PASSPHRASE}\n` })
      expect({ args, status: refused.status }).toEqual({ args, status: 4 })
    }
    const refused = await run(peerPath('ssh-add'), ['-d', file('theirs')], { env: ours.env })
    expect(refused.status).toBe(1)
    expect(await listed(behind.env)).toEqual(['theirs'])
    await ours.stop()
  })

  test('a lock hides them here and leaves the other agent as it is', async () => {
    const pass = join(home.path, 'pass')
    await writeFile(pass, `${PASSPHRASE}\n`)
    await give('theirs')
    await startOurs()
    await ok('lock', '--passphrase-file', pass)
    expect(await listed(ours.env)).toEqual([])
    expect((await login('theirs')).status).toBe(255)
    expect(await listed(behind.env)).toEqual(['theirs'])
    await ok('unlock', '--passphrase-file', pass)
    expect(await listed(ours.env)).toEqual(['theirs'])
    await ours.stop()
  })

  test('one that both hold is listed once, and is ours while we hold it', async () => {
    await give('mine')
    await startOurs()
    await ok('add', '-t', '1h', file('mine'))
    expect(await list()).toMatchObject([{ comment: 'mine', origin: 'added', lifetime: 3600 }])
    await ok('remove', file('mine'))
    expect(await list()).toMatchObject([{ comment: 'mine', origin: 'upstream' }])
    expect(await signs('mine')).toBe(true)
    await ours.stop()
  })
})

test('the policy can name it', async () => {
  await give('theirs')
  await writePolicy({ upstream: behind.socket })
  await startOurs({}, [])
  expect(await listed(ours.env)).toEqual(['theirs'])
  await ours.stop()
})

test('it may be one of ours, whose sealed keys it asks for itself', async () => {
  const folder = join(home.path, 'askpass')
  await mkdir(folder)
  const askpass = await makeAskpass(folder)
  const socket = join(homeBehind.runtime, 'second.sock')
  const other = await keytool(['agent', '-s', '-a', socket], { env: { ...homeBehind.env, ...askpass.env } })
  expect(other.status).toBe(0)
  const env = { ...homeBehind.env, SSH_AUTH_SOCK: socket }
  await writeFile(join(homeBehind.ssh, 'known_hosts'), sshd.knownHosts)
  expect((await residentKeytool(['add', '--sealed', file('sealed')], { env })).status).toBe(0)
  await startOurs({}, ['--upstream', socket])
  expect(await list()).toMatchObject([{ comment: 'sealed', origin: 'upstream' }])
  const going = login('sealed')
  // That agent is told of the host, and of our agent as the program that asks.
  expect((await askpass.waitFor(1)).text).toContain(` wants sealed for ${user.name}@[127.0.0.1]:${sshd.port}`)
  await askpass.answer(1, PASSPHRASE)
  expect(await going).toMatchObject({ status: 0, stdout: 'in\n' })
  await ok('agent', 'stop', '-a', socket)
  await ours.stop()
})

test('it may not be ours itself, nor one that another user answers for', async () => {
  const own = join(home.runtime, 'keytool', 'agent.sock')
  expect(await keytool(['agent', '-s', '--upstream', own], { env: home.env })).toMatchObject({
    status: 4,
    stdout: '',
    stderr: expect.stringContaining("this agent's own place"),
  })
  await give('theirs')
  await chown(behind.socket, 54321, 54321)
  await startOurs()
  expect(await listed(ours.env)).toEqual([])
  expect((await status()).troubles).toEqual([expect.stringContaining('another user')])
  await ours.stop()
})
