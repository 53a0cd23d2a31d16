import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { untilWritten } from './agent-fixture.js'
import { takeSnapshot } from './cli-fixture.js'
import { type Desk, makeDesk, makeDeskWithKeyring } from './keychain-cli.js'
import { opensshOptions } from './world/home.js'
import { peerPath } from './world/peers.js'
import { findFreePort } from './world/port.js'
import { keytoolPath, type RunResult, run, runOrThrow } from './world/run.js'
import { startSshAgent } from './world/ssh-agent.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'
import { openTerminal } from './world/terminal.js'

// `keytool compromised`: a key that is known in every place it can be, and two accounts of a real server that it gets in to.

jest.setTimeout(120_000)

let desk: Desk
let users: [SystemUser, SystemUser]
let sshd: Sshd

beforeAll(async () => {
  users = [await createUser(), await createUser()]
  sshd = await startSshd({ users })
})
afterAll(async () => {
  await sshd.stop()
  for (const user of users) await user.dispose()
})

beforeEach(async () => {
  desk = await makeDesk()
  await writeFile(join(desk.home.ssh, 'known_hosts'), sshd.knownHosts)
  await desk.makeKey('id_bad', '', 'bad@laptop')
  await desk.makeKey('id_ecdsa', '', 'good@laptop')
  for (const user of users) await authorize(user, `# hello\n${await lineOf('id_bad')}\n${await lineOf('id_ecdsa')}\n`)
})
afterEach(() => desk.dispose())

const at = (name: string): string => join(desk.home.ssh, name)
const lineOf = async (name: string) => (await readFile(`${at(name)}.pub`, 'utf8')).trimEnd()
const printOf = async (name: string) =>
  (await runOrThrow(peerPath('ssh-keygen'), ['-l', '-f', `${at(name)}.pub`])).stdout.split(' ')[1] ?? ''
const wordOf = ({ name }: SystemUser) => `${name}@127.0.0.1`

async function authorize(user: SystemUser, text: string): Promise<void> {
  await user.authorize('x')
  await writeFile(user.authorizedKeysFile, text)
}

const compromised = (...args: string[]): Promise<RunResult> => desk.run(['compromised', ...args])
const there = () => ['-p', String(sshd.port), ...users.map(wordOf)]

/** Whether OpenSSH's client gets in with this key file alone. */
async function logsIn(name: string, user: SystemUser, env = desk.env): Promise<boolean> {
  const options = [...opensshOptions(desk.home), '-o', 'IdentitiesOnly=yes', '-i', at(name), '-p', String(sshd.port)]
  return (await run(peerPath('ssh'), [...options, wordOf(user), 'true'], { env })).status === 0
}

/** The key is in the agent, at login, too; a session logs in with it, and the ledger knows of the other account. */
async function spread(): Promise<void> {
  await desk.run(['add', at('id_bad')])
  const rule = { file: '~/.ssh/id_bad', atLogin: true }
  const other = { file: '~/.ssh/id_ecdsa', confirm: true }
  await mkdir(join(desk.home.path, '.config/keytool'), { recursive: true, mode: 0o700 })
  await writeFile(
    join(desk.home.path, '.config/keytool/agent.json'),
    JSON.stringify({ version: 1, keys: [rule, other] }),
  )
  const session = ['-p', String(sshd.port), '--key', at('id_bad'), wordOf(users[0])]
  await desk.run(['session', 'save', 'web', ...session])
  const env = { ...desk.env, SSH_AUTH_SOCK: join(desk.home.runtime, 'keytool/agent.sock') }
  await rm(at('id_bad'))
  expect(await logsIn('id_bad.pub', users[1], env)).toBe(true)
  await untilWritten(env.SSH_AUTH_SOCK)
}

test('everywhere: the hosts of sessions and of the ledger, the agent, agent.json, the session', async () => {
  const secret = await readFile(at('id_bad'))
  await spread()
  await writeFile(at('id_bad'), secret, { mode: 0o600 })
  const { status, stdout, stderr } = await compromised(at('id_bad'), '--yes')
  expect(status).toBe(0)
  const [first = '', ...lines] = stdout.split('\n')
  expect(first).toBe(`${await printOf('id_bad')}  256 ED25519  bad@laptop`)
  const text = lines.join('\n')
  expect(text).toMatch(
    /^ {2}file +~\/\.ssh\/id_bad +private key\n {2}file +~\/\.ssh\/id_bad\.pub +public half\n {2}agent /,
  )
  expect(text).toMatch(/\n {2}policy +agent\.json +held at every login\n {2}session +web +logs in with it/)
  expect(text).toMatch(
    /\n {2}ledger +ktest\S+@\S+ +1 login, the last on \d{4}-\d\d-\d\d\n {2}2 hosts to look at: web, ssh:/,
  )
  expect(text).toMatch(/\nok removed +agent [^\n]*\nok removed +policy [^\n]*\nok removed +session /)
  expect(text.match(/ {2}ok removed from ~\/\.ssh\/authorized_keys line 2, verified: it is refused\n/g)).toHaveLength(2)
  expect(stderr).toContain('its files stay')
  for (const user of users) {
    expect(await readFile(user.authorizedKeysFile, 'utf8')).toBe(`# hello\n${await lineOf('id_ecdsa')}\n`)
    expect(await logsIn('id_bad', user)).toBe(false)
    expect(await logsIn('id_ecdsa', user)).toBe(true)
  }
  expect(await desk.ask(['list'])).toEqual([])
  expect(await desk.rules()).toEqual([{ file: '~/.ssh/id_ecdsa', confirm: true }])
  expect(await desk.ask(['session', 'show', 'web'])).not.toHaveProperty('key')
  expect(await readFile(at('id_bad'))).toEqual(secret)
  // Once more there is nothing to do.
  const again = await compromised(await printOf('id_bad'), '--yes')
  expect(again.status).toBe(0)
  expect(again.stdout.match(/ {2}ok is not there, verified: it is refused\n/g)).toHaveLength(2)
})

test('--dry-run looks everywhere and changes nothing', async () => {
  await spread()
  const snapshot = async () => [
    ...(await takeSnapshot(desk.home.ssh)),
    ...(await takeSnapshot(join(desk.home.path, '.config'))),
    ...(await Promise.all(users.map(user => takeSnapshot(join(user.home, '.ssh'))))).flat(),
    JSON.stringify(await desk.ask(['list'])),
  ]
  const before = await snapshot()
  const { status, stdout } = await compromised(`${at('id_bad')}.pub`, '--dry-run', '--json')
  expect(status).toBe(0)
  expect(await snapshot()).toEqual(before)
  expect(JSON.parse(stdout)).toMatchObject({
    key: { type: 'ssh-ed25519', fingerprint: { sha256: await printOf('id_bad') } },
    places: [
      { kind: 'file', state: 'stays' },
      { kind: 'agent', state: 'would-remove' },
      { kind: 'policy', state: 'would-remove' },
      { kind: 'session', where: 'web', state: 'would-remove' },
      { kind: 'ledger', state: 'stays' },
    ],
    hosts: [
      { host: 'web', state: 'would-remove', code: 0 },
      { state: 'would-remove', code: 0 },
    ],
    unknown: [],
  })
})

test('nobody to ask: 4, nothing is changed; on a terminal it asks, and no is no', async () => {
  const result = await compromised(at('id_bad'), ...there())
  expect(result).toMatchObject({ status: 4 })
  expect(result.stderr).toMatch(/nothing was changed\n.*--yes/)
  for (const [answer, status] of [
    ['n', 4],
    ['y', 0],
  ] as const) {
    const command = [process.execPath, keytoolPath, 'compromised', at('id_bad'), ...there()]
    const terminal = await openTerminal(command, { env: desk.env, cols: 120 })
    await terminal.waitFor(/Take it out of 0 places here and 2 hosts\?/)
    expect(await logsIn('id_bad', users[0])).toBe(true)
    await terminal.type(`${answer}\r`)
    expect(await terminal.exitStatus()).toBe(status)
    await terminal.close()
  }
  expect(await logsIn('id_bad', users[0])).toBe(false)
})

test('where nothing else gets in it stays, unless it may log in itself, or there is a password', async () => {
  await rm(at('id_ecdsa'))
  const line = await lineOf('id_bad')
  for (const user of users) await authorize(user, `${line}\n`)
  await desk.run(['add', at('id_bad')])
  const [one, two] = users
  const result = await compromised(at('id_bad'), '-p', String(sshd.port), wordOf(one), '--yes')
  expect(result.status).toBe(5)
  expect(result.stderr).toContain('--use-it')
  expect(await readFile(one.authorizedKeysFile, 'utf8')).toBe(`${line}\n`)
  const password = await desk.write(`${one.password}\n`)
  const byPassword = ['-p', String(sshd.port), '--password-file', password, wordOf(one)]
  expect(await compromised(at('id_bad'), ...byPassword, '--yes')).toMatchObject({ status: 0 })
  expect(await logsIn('id_bad', one)).toBe(false)
  const last = await compromised(at('id_bad'), '-p', String(sshd.port), wordOf(two), '--yes', '--use-it')
  expect(last).toMatchObject({ status: 0, stdout: expect.stringContaining('verified: it is refused') })
  expect(last.stderr).toContain('the key itself logs in, for the last time')
  expect(await readFile(two.authorizedKeysFile, 'utf8')).toBe('')
})

test('what can’t be done is listed: authorized_keys2, an authority’s line, a host that is not reached', async () => {
  const [one, two] = users
  await writeFile(join(one.home, '.ssh/authorized_keys2'), `${await lineOf('id_bad')}\n`)
  await authorize(two, `cert-authority ${await lineOf('id_bad')}\n${await lineOf('id_ecdsa')}\n`)
  const port = await findFreePort()
  await desk.run(['session', 'save', 'far', `nobody@127.0.0.1`, '-p', String(port)])
  await desk.run(['add', at('id_bad')])
  const { status, stdout } = await compromised(at('id_bad'), ...there(), '--yes', '--json')
  expect(status).toBe(7)
  const { hosts, places } = JSON.parse(stdout)
  expect(hosts).toMatchObject([
    {
      state: 'still-there',
      code: 1,
      detail: expect.stringMatching(/take it out of ~\/\.ssh\/authorized_keys2 line 1/),
    },
    { state: 'still-there', code: 1, detail: expect.stringMatching(/certificates by it are let in .* line 1/) },
    { host: 'far', state: 'failed', code: 7 },
  ])
  // Here it is gone all the same.
  expect(places).toMatchObject([{ kind: 'file' }, { kind: 'file' }, { kind: 'agent', state: 'removed' }])
  await rm(join(one.home, '.ssh/authorized_keys2'))
})

test('a server that lets it in from elsewhere', async () => {
  const elsewhere = join(desk.home.path, 'keys')
  await writeFile(elsewhere, `${await lineOf('id_bad')}\n`)
  const config = ['StrictModes no', `AuthorizedKeysFile .ssh/authorized_keys ${elsewhere}`]
  await runOrThrow('/bin/chmod', ['755', desk.home.path])
  const other = await startSshd({ users, config, hostKeyFiles: sshd.hostKeyFiles })
  try {
    await writeFile(at('known_hosts'), other.knownHosts)
    const there = ['-p', String(other.port), wordOf(users[0]), '--yes']
    const { status, stdout } = await compromised(at('id_bad'), ...there)
    expect(status).toBe(1)
    expect(stdout).toMatch(/failed removed from ~\/\.ssh\/authorized_keys line 2, but the server lets it in/)
    // A passphrase that is wrong here is no key that is refused there; nor is one that nobody has here any more.
    await runOrThrow(peerPath('ssh-keygen'), ['-q', '-p', '-a', '1', '-P', '', '-N', 'secret', '-f', at('id_bad')])
    const wrong = await compromised(at('id_bad'), '--passphrase-file', await desk.write('wrong\n'), ...there)
    expect(wrong).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('is not there, but the server lets it in'),
    })
    await rm(at('id_bad'))
    const lost = await compromised(at('id_bad.pub'), ...there)
    expect(lost).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('is not there, but the server lets it in'),
    })
  } finally {
    await other.stop()
  }
})

test('the key is lost: by its fingerprint alone, or its public half', async () => {
  const print = await printOf('id_bad')
  const publicHalf = await desk.write(`${await lineOf('id_bad')}\n`)
  for (const name of ['id_bad', 'id_bad.pub']) await rm(at(name))
  const [one, two] = users
  const first = await compromised(print, '-p', String(sshd.port), wordOf(one), '--yes')
  expect(first).toMatchObject({ status: 0 })
  expect(first.stdout).toContain('removed from ~/.ssh/authorized_keys line 2, verified: it is refused')
  expect(await compromised(publicHalf, '-p', String(sshd.port), wordOf(two), '--yes')).toMatchObject({ status: 0 })
  for (const user of users) expect(await readFile(user.authorizedKeysFile, 'utf8')).not.toContain('bad@laptop')
})

test('a locked agent may hold it: 4, said', async () => {
  await desk.run(['add', at('id_bad')])
  const secret = await desk.write('a lock\n')
  await desk.run(['lock', '--passphrase-file', secret])
  const { status, stdout, stderr } = await compromised(at('id_bad'), '--here', '--yes')
  expect(status).toBe(4)
  expect(stdout).toMatch(/failed not removed +agent +.*locked: what it holds is not known/)
  expect(stderr).toContain('keytool unlock')
  await desk.run(['unlock', '--passphrase-file', secret])
  expect(await compromised(at('id_bad'), '--here', '--yes')).toMatchObject({ status: 0 })
  expect(await desk.ask(['list'])).toEqual([])
})

test('two agents: that of SSH_AUTH_SOCK and ours', async () => {
  await desk.run(['add', at('id_bad')])
  const other = await startSshAgent(desk.home)
  try {
    await runOrThrow(peerPath('ssh-add'), ['-q', at('id_bad'), at('id_ecdsa')], { env: other.env })
    const { status, stdout } = await desk.run(['compromised', at('id_bad'), '--here', '--yes'], { env: other.env })
    expect(status).toBe(0)
    expect(stdout.match(/\nok removed {2}agent /g)).toHaveLength(2)
    const { stdout: left } = await runOrThrow(peerPath('ssh-add'), ['-l'], { env: other.env })
    expect(left).toMatch(/^\S+ \S+ good@laptop \S+\n$/)
    expect(await desk.ask(['list'])).toEqual([])
  } finally {
    await other.stop()
  }
})

test('its passphrase in the keychain is forgotten', async () => {
  const withKeyring = await makeDeskWithKeyring()
  try {
    const { path } = await withKeyring.makeKey('id_bad', 'secret')
    const secret = await withKeyring.write('secret\n')
    await withKeyring.run(['add', '--remember', '--passphrase-file', secret, path])
    expect(await withKeyring.ask(['keychain', 'list'])).toHaveLength(1)
    const { status, stdout } = await withKeyring.run(['compromised', path, '--here', '--yes'])
    expect(status).toBe(0)
    expect(stdout).toMatch(/ok removed {2}keychain +the system's keychain +its passphrase, id_bad\n/)
    expect(await withKeyring.ask(['keychain', 'list'])).toEqual([])
    expect(await withKeyring.rules()).toEqual([])
    expect(await withKeyring.ask(['list'])).toEqual([])
  } finally {
    await withKeyring.dispose()
  }
})

test('nobody is asked where there is nothing to take out', async () => {
  const result = await compromised(`SHA256:${'A'.repeat(43)}`)
  expect(result).toMatchObject({ status: 0, stdout: expect.stringContaining('nothing here knows it') })
})

test('refusals', async () => {
  expect(await compromised('none', '--yes')).toMatchObject({ status: 3 })
  expect(await compromised('MD5:00:11', '--yes')).toMatchObject({ status: 2 })
  expect(await compromised(at('known_hosts'), '--yes')).toMatchObject({ status: 2 })
  expect(await compromised(at('id_bad'), '--here', 'web', '--yes')).toMatchObject({ status: 2 })
  expect(await compromised(at('id_bad'), '-oProxyCommand=touch x', '--', '-oProxyCommand=x', '--yes')).toMatchObject({
    status: 2,
  })
  expect(await readdir(desk.home.path)).not.toContain('x')
})

test('the line for the rest is the one that was typed; hosts that are found come by themselves', async () => {
  const free = await findFreePort()
  await desk.run(['session', 'save', 'down', '-p', String(free), 'x@127.0.0.1'])
  const { status, stdout } = await compromised('--dry-run', at('id_bad'), ...there(), 'x@127.0.0.9')
  expect(status).toBe(7)
  expect(stdout).toContain(
    `2 of 4 hosts done. Again for the rest:\n  keytool compromised --dry-run -p ${sshd.port} ~/.ssh/id_bad x@127.0.0.9\n`,
  )
})
