import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { takeLock } from '../packages/tunnel/src/servers/rotation/lock.js'
import { makeKey } from './agent-hosts.js'
import { type EmptyHome, type Hosting, openEmptyHome, openHosting, treeOf } from './setup-fixture.js'
import { residentKeytool } from './world/resident.js'
import { type Sshd, startSshd } from './world/sshd.js'

// What `keytool setup` is not led to do: by another setup at the same time, by a record that was tampered with, by settings and
// servers that are others than it thinks.

jest.setTimeout(120_000)

/** These are this file's alone. */
const host = '127.0.125.1'
const hop = '127.0.125.2'

let hosting: Hosting
let desk: EmptyHome

beforeAll(async () => {
  hosting = await openHosting([host, hop])
})
afterAll(() => hosting?.dispose())
beforeEach(async () => {
  await hosting.reset()
  desk = await openEmptyHome(false)
})
afterEach(() => desk.dispose())

const at = () => ['-p', String(hosting.sshd.port), `${hosting.user.name}@${host}`]
const trust = (sshd: Sshd = hosting.sshd) => [
  '--host-key',
  sshd.fingerprints.ed25519,
  '--password-file',
  hosting.password,
]
const setup = (...args: string[]) =>
  residentKeytool(['setup', ...args], { env: desk.env, cwd: desk.home.path, timeoutMs: 60_000 })
const stateOf = (...names: string[]) => join(desk.home.path, '.local', 'state', 'keytool', 'setup', ...names)
const recordOf = () => stateOf(`${host}-${hosting.sshd.port}.json`)

async function succeed(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await setup(...args)
  expect({ args, status, stdout }).toEqual({ args, status: 0, stdout })
  return stdout + stderr
}

test('while one setup is at work, another and an undoing change nothing; what SIGKILL leaves is in nobody’s way, and goes', async () => {
  const home = await desk.tree()
  const line = ['--no-passphrase', ...trust(), ...at()]
  await mkdir(stateOf(), { recursive: true, mode: 0o700 })
  const release = await takeLock(stateOf('.lock'), 'x')
  const [locked, account] = [await desk.tree(), await hosting.account()]
  const isBusy = {
    status: 4,
    stdout: '',
    stderr: expect.stringContaining(`at work in ~/.local/state/keytool/setup already, by process ${process.pid} `),
  }
  expect(await setup(...line)).toMatchObject(isBusy)
  expect(await desk.tree()).toEqual(locked)
  expect(await hosting.account()).toEqual(account)
  await release()
  await succeed(...line)
  const again = await takeLock(stateOf('.lock'), 'x')
  expect(await setup('--undo', '--yes', ...at())).toMatchObject(isBusy)
  await again()
  // As SIGKILL leaves them.
  const gone = { pid: 2 ** 22 + 1, host: hostname(), token: 'x' }
  await writeFile(stateOf('.lock'), `${JSON.stringify(gone)}\n`)
  await writeFile(stateOf('..lock.0123456789ab.tmp'), '')
  // So is an agent: its socket and its pid file stay.
  await desk.logOut()
  await succeed('--undo', '--yes', ...at())
  // The folders that were there for the lock alone count as setup's own.
  expect(await desk.tree()).toEqual(home)
})

test('a record that others may write, or that is about something else, is not followed', async () => {
  await succeed('--no-passphrase', ...trust(), ...at())
  const record = await readFile(recordOf(), 'utf8')
  await chmod(recordOf(), 0o666)
  const before = await desk.tree()
  expect(await setup('--undo', '--yes', ...at())).toMatchObject({
    status: 4,
    stderr: expect.stringMatching(/is not followed: others may write it \(0666\)\n {2}chmod go-w /),
  })
  expect(await setup(...at())).toMatchObject({ status: 4 })
  expect(await desk.tree()).toEqual(before)
  await chmod(recordOf(), 0o600)
  await writeFile(recordOf(), record.replace(`"name": "${host}-`, '"name": "other-'))
  expect(await setup('--undo', '--yes', ...at())).toMatchObject({
    status: 6,
    stderr: expect.stringContaining('it is about other-'),
  })
  await writeFile(recordOf(), record)
  await succeed('--undo', '--yes', ...at())
})

test('undoing touches nothing but what setup makes, whatever paths the record names', async () => {
  const victim = join(desk.home.path, 'victim')
  await mkdir(join(victim, 'empty'), { recursive: true })
  const line = `[${host}]:${hosting.sshd.port} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n`
  await writeFile(join(victim, 'hosts'), line)
  await writeFile(join(victim, 'letter.pub'), 'not a key\n')
  const before = await treeOf(victim)
  await succeed('--no-passphrase', ...trust(), ...at())
  const record = JSON.parse(await readFile(recordOf(), 'utf8'))
  record.folders.push(join(victim, 'empty'))
  record.traces.push(victim)
  record.steps.key.facts.path = join(victim, 'letter')
  record.steps.host.facts.path = join(victim, 'hosts')
  await writeFile(recordOf(), JSON.stringify(record))
  expect(await succeed('--undo', '--yes', '--leave-server', ...at())).toMatch(
    /ok host key {2}~\/victim\/hosts stays as it is/,
  )
  expect(await treeOf(victim)).toEqual(before)
})

test('a session that was led elsewhere since stays, and the server is the one that it was', async () => {
  const account = await hosting.account()
  await succeed('--no-passphrase', ...trust(), ...at())
  const file = join(desk.home.path, '.config', 'keytool', 'sessions', `${host}-${hosting.sshd.port}.json`)
  const edited = (await readFile(file, 'utf8')).replace(`"host": "${host}"`, '"host": "other.example"')
  await writeFile(file, edited)
  expect(await succeed('--undo', '--yes', ...at())).toMatch(/ok session {3}\S+ stays: it leads elsewhere now\n/)
  expect(await readFile(file, 'utf8')).toBe(edited)
  expect(await hosting.account()).toEqual(account)
})

test('what ssh_config says of a host goes for its setup: name, key, and who is on the way', async () => {
  await mkdir(desk.home.ssh, { mode: 0o700 })
  const key = join(desk.home.ssh, 'web_key')
  await makeKey(key)
  const { name } = hosting.user
  const place = (address: string) => `HostName ${address}\n Port ${hosting.sshd.port}\n User ${name}\n`
  await writeFile(
    join(desk.home.ssh, 'config'),
    `Host web\n ${place(host)} IdentitiesOnly yes\n IdentityFile ~/.ssh/web_key\nHost far\n ${place(host)} ProxyJump gate\nHost gate\n ${place(hop)}`,
  )
  const before = await desk.tree()
  const made = await succeed(...trust(), 'web')
  expect(made).toMatch(/ok key {7}~\/\.ssh\/web_key {2}ED25519/)
  expect(made).toMatch(/ok session {3}web is saved\n/)
  expect(await succeed('web')).toContain('nothing was changed: all of it was there already')
  expect(await setup('--no-passphrase', ...trust(), 'far')).toMatchObject({
    status: 8,
    stderr: expect.stringMatching(
      new RegExp(
        `it is on the way, and has to be known first: keytool connect -p ${hosting.sshd.port} ${name}@gate\n$`,
      ),
    ),
  })
  await succeed('--undo', 'web')
  expect(await desk.tree()).toEqual(before)
})

describe('a server that gives less', () => {
  let sshd: Sshd
  const there = () => ['-p', String(sshd.port), `${hosting.user.name}@127.0.0.1`]
  afterEach(() => sshd?.stop())

  test('SFTP alone: set up, and taken back to the byte', async () => {
    sshd = await startSshd({ users: [hosting.user], config: ['ForceCommand internal-sftp'] })
    const account = await hosting.account()
    const line = ['--no-passphrase', '-L', `0:127.0.0.1:${sshd.port}`, ...trust(sshd), ...there()]
    expect(await succeed(...line)).toMatch(/1 forward alive[\s\S]*\n {2}127\.0\.0\.1:[1-9]\d* -> /)
    // Whichever port it is, the tunnel that has it is the right one.
    expect(await succeed(...there())).toContain('nothing was changed: all of it was there already')
    await succeed('--undo', '--yes', ...there())
    expect(await hosting.account()).toEqual(account)
  })

  test('keys alone: one that is let in has to be loaded first, as it says, and then puts the new one there', async () => {
    sshd = await startSshd({ users: [hosting.user], passwordUsers: [] })
    const first = join(desk.home.path, 'first')
    await makeKey(first)
    await hosting.user.authorize(await readFile(`${first}.pub`, 'utf8'))
    const account = await hosting.account()
    const line = ['--only-now', '--no-passphrase', ...trust(sshd), ...there()]
    expect(await setup(...line)).toMatchObject({ status: 5, stderr: expect.stringMatching(/\n {2}keytool add KEY\n$/) })
    for (const args of [['agent'], ['add', first]]) {
      expect(await residentKeytool(args, { env: desk.env })).toMatchObject({ status: 0 })
    }
    expect(await succeed(...line)).toMatch(/ok server +the key is added: .* line 2; verified with this key alone/)
    await succeed('--undo', '--yes', ...there())
    expect(await hosting.account()).toEqual(account)
  })

  test('no forwards: said for its mail, and of each one that is dead, with what to type', async () => {
    sshd = await startSshd({ users: [hosting.user], config: ['AllowTcpForwarding no'] })
    expect(await setup('--mail', '--no-passphrase', ...trust(sshd), ...there())).toMatchObject({
      status: 4,
      stdout: '',
      stderr: expect.stringMatching(/does not let its mail be forwarded, if it has any\n {2}its AllowTcpForwarding/),
    })
    const line = ['--no-passphrase', '-L', `0:127.0.0.1:${sshd.port}`, ...trust(sshd), ...there()]
    for (const args of [line, there()]) {
      const said = await succeed(...args)
      expect(said).toMatch(/ok tunnel .*0 of 1 forward alive/)
      expect(said).toMatch(/is dead: the server does not allow 127\.0\.0\.1/)
      expect(said).toMatch(new RegExp(`\nNext: keytool doctor 127\\.0\\.0\\.1-${sshd.port}\n`))
    }
    await succeed('--undo', '--yes', ...there())
  })
})
