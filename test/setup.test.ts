import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { fetchMail, sendMail } from '../scripts/demo-world/mail-client.js'
import { makeKey } from './agent-hosts.js'
import { type EmptyHome, type Hosting, openEmptyHome, openHosting } from './setup-fixture.js'
import { eventually, greetingAt } from './tunnel-cli-fixture.js'
import { type Mail, startMail } from './world/mail.js'
import { peerPath } from './world/peers.js'
import { findFreePort } from './world/port.js'
import { runOrThrow } from './world/run.js'
import { startUserManager } from './world/user-manager.js'

// `keytool setup` by flags: the whole way, the same again, the next login, and all of it taken back.

jest.setTimeout(300_000)

/** These addresses are this file's alone; at the first mail is where mail is. */
const host = '127.0.121.1'
const second = '127.0.121.2'
const mailbox = { name: 'hana', password: 'mailbox secret' }

let hosting: Hosting
let mail: Mail
let desk: EmptyHome

beforeAll(async () => {
  hosting = await openHosting([host, second])
  mail = await startMail(mailbox, {
    incoming: [{ protocol: 'pop3', address: host, port: 110 }],
    outgoing: [{ address: host, port: 25 }],
  })
})
afterAll(async () => {
  await mail?.stop()
  await hosting?.dispose()
})
beforeEach(async () => {
  await hosting.reset()
  desk = await openEmptyHome(true)
})
afterEach(() => desk.dispose())

const at = (address: string = host) => ['-p', String(hosting.sshd.port), `${hosting.user.name}@${address}`]
const trust = () => ['--host-key', hosting.sshd.fingerprints.ed25519, '--password-file', hosting.password]

/** Ends with 0, and says nothing on stderr. */
async function succeed(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await desk.setup(args)
  expect({ args, status, stderr, stdout }).toEqual({ args, status: 0, stderr: '', stdout })
  return stdout
}

/** The steps that changed something. */
async function stepsOf(...args: string[]): Promise<Record<string, string>> {
  const { steps } = JSON.parse(await succeed(...args, '--json'))
  return Object.fromEntries(steps.map(({ step, state }: { step: string; state: string }) => [step, state]))
}

const all = ['key', 'login', 'agent', 'held', 'host', 'server', 'session', 'tunnel']
const each = (state: string) => Object.fromEntries(all.map(step => [step, state]))

/** A mail goes out and comes back, by the ports of this machine. */
async function exchange(pop3: number, smtp: number, subject: string): Promise<void> {
  await sendMail(smtp, { from: 'hana@example.com', to: 'hana@example.com', subject, text: 'a line\n' })
  await eventually(
    () => fetchMail(pop3, mailbox.name, mailbox.password),
    letters => letters.some(letter => letter.includes(`Subject: ${subject}`)),
    60_000,
  )
}

/** As a desktop does at a login, with an environment of its own: what stands in its autostart folder is started. */
async function logInAgain(): Promise<void> {
  await desk.logOut()
  expect(await desk.processes()).toEqual([])
  const folder = join(desk.home.path, '.config', 'autostart')
  const { stdout } = await runOrThrow('/bin/ls', [folder])
  for (const entry of stdout.trim().split('\n')) {
    const launch = ['-c', 'exec "$0" "$@" >/dev/null 2>&1', peerPath('gio'), 'launch', join(folder, entry)]
    await runOrThrow('/bin/sh', launch, { env: desk.env })
  }
}

test('from an empty home to mail, again without a change, after the next login, and back to the byte', async () => {
  const [home, account] = [await desk.tree(), await hosting.account()]
  const [pop3, smtp] = [await findFreePort(), await findFreePort()]
  const forwards = ['-L', `${pop3}:${host}:110`, '-L', `${smtp}:${host}:25`]
  const plan = await desk.setup(['--dry-run', '--mail', ...forwards, ...at()])
  expect(plan).toMatchObject({ status: 0, stderr: '', stdout: expect.stringMatching(/ {3}key .*would be made/) })
  expect(await desk.tree()).toEqual(home)

  const made = await succeed('--mail', '--generate-passphrase', '--charset', 'euc-jp', ...forwards, ...trust(), ...at())
  expect(made.split('\n').map(line => line.slice(0, 12).trimEnd())).toEqual(
    expect.arrayContaining([
      'ok key',
      'ok at login',
      'ok agent',
      'ok key held',
      'ok host key',
      'ok server',
      'ok tunnel',
    ]),
  )
  expect(made).toContain(`incoming  POP3  server 127.0.0.1  port ${pop3}  no encryption: the tunnel does it`)
  expect(made).toContain(`protected as far as ${host}; what lies behind it is not`)
  expect(made).toMatch(/verified with this key alone/)
  await exchange(pop3, smtp, 'first')

  const before = await desk.tree()
  const passwords = () => hosting.sshd.log().match(/Accepted password/g)?.length
  expect(passwords()).toBe(1)
  expect(await stepsOf('--dry-run', ...at())).toEqual(each('done'))
  expect(await stepsOf(...at())).toEqual(each('done'))
  expect(passwords()).toBe(1)
  const isSteady = (line: string) => !/\/run\/|ledger|order\.json|\.log /.test(line)
  expect((await desk.tree()).filter(isSteady)).toEqual(before.filter(isSteady))

  // The agent asks the keychain, and the tunnel the agent: nobody types anything.
  await logInAgain()
  await eventually(
    () => sendMail(smtp, { from: 'a@example.com', to: 'hana@example.com', subject: 'probe', text: '' }).catch(String),
    answer => answer.startsWith('250'),
    60_000,
  )
  await exchange(pop3, smtp, 'second')
  expect(await stepsOf(...at())).toEqual(each('done'))

  const would = await succeed('--undo', '--dry-run', ...at())
  expect(would).toMatch(/its \.pub would be removed[\s\S]*nothing was changed\n$/)
  expect(await succeed('--undo', '--yes', ...at())).toMatch(
    /ok key {7}~\/\.ssh\/id_ed25519 and its \.pub are removed\n$/,
  )
  await eventually(desk.processes, left => left.length === 0)
  expect(await desk.tree()).toEqual(home)
  expect(await hosting.account()).toEqual(account)
  expect(await succeed('--undo', ...at())).toMatch(/nothing was changed/)
})

test('what was there before is used, and is as it was afterwards: key, files without a last line end, settings', async () => {
  const { home } = desk
  await mkdir(home.ssh, { mode: 0o700 })
  await mkdir(join(home.path, '.config', 'keytool'), { recursive: true, mode: 0o700 })
  const passphrase = join(home.path, 'passphrase')
  await writeFile(passphrase, 'right horse\n', { mode: 0o600 })
  const key = join(home.ssh, 'id_ed25519')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', 'right horse', '-C', 'old', '-f', key])
  await writeFile(
    join(home.ssh, 'known_hosts'),
    '# mine\nother.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH',
  )
  await writeFile(join(home.path, '.config', 'keytool', 'agent.json'), '{"version":1,  "keys": []}')
  await hosting.user.authorize(
    '# kept by hand',
    'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH other',
  )
  const keys = await readFile(hosting.user.authorizedKeysFile)
  await writeFile(hosting.user.authorizedKeysFile, keys.subarray(0, -1))
  const [before, account] = [await desk.tree(), await hosting.account()]

  const port = await findFreePort()
  const args = ['-L', `${port}:${host}:110`, '--passphrase-file', passphrase, ...trust(), ...at()]
  expect(await stepsOf(...args)).toEqual({ ...each('made'), key: 'done' })
  expect(await stepsOf(...at())).toEqual(each('done'))
  // Once more with another forward: the session gets it, and the tunnel carries it.
  const more = await findFreePort()
  expect(await stepsOf('-L', `${more}:${host}:25`, ...at())).toEqual({
    ...each('done'),
    session: 'made',
    tunnel: 'made',
  })
  expect(await stepsOf(...at())).toEqual(each('done'))
  // Nothing is asked before a key is removed that setup did not make.
  await succeed('--undo', ...at())
  expect(await desk.tree()).toEqual(before)
  expect(await hosting.account()).toEqual(account)
  expect(await desk.keyring?.read('index')).not.toContain('old')
})

test('two servers, one key: each is taken back by itself, and what both lean on with the last one', async () => {
  const [home, account] = [await desk.tree(), await hosting.account()]
  await succeed('--no-passphrase', ...trust(), ...at())
  const [keys, ours] = [await hosting.account(), desk.home.ssh]
  expect(await stepsOf('--host-key', hosting.sshd.fingerprints.ed25519, ...at(second))).toEqual({
    ...each('done'),
    host: 'made',
    session: 'made',
  })
  expect(await hosting.account()).toEqual(keys)
  const kept = await succeed('--undo', '--yes', ...at())
  expect(kept).toMatch(/key {7}stays: the setup of 127\.0\.121\.2-\d+ uses it, too/)
  expect(kept).toMatch(/agent {5}stays/)
  expect(await readFile(join(ours, 'id_ed25519.pub'), 'utf8')).toMatch(/^ssh-ed25519 /)
  const last = await desk.setup(['--undo', '--yes', '--password-file', hosting.password])
  expect(last).toMatchObject({ status: 0, stderr: '' })
  expect(await desk.tree()).toEqual(home)
  expect(await hosting.account()).toEqual(account)
})

test('under systemd: its socket starts the agent, its service the tunnel, at this login and the next', async () => {
  const before = await desk.tree()
  const manager = await startUserManager(desk.env)
  const port = await findFreePort()
  let stop = manager.stop
  try {
    const args = ['--no-passphrase', '-L', `${port}:${host}:110`, ...trust(), ...at()]
    // The agent is started by whoever asks first; what needs no passphrase need not be held.
    expect(await stepsOf(...args)).toEqual({ ...each('made'), agent: 'done', held: 'done' })
    expect(await greetingAt(port)).toMatch(/^\+OK/)
    await manager.stop()
    await desk.logOut()
    const next = await startUserManager(desk.env)
    stop = next.stop
    await eventually(
      () => greetingAt(port).catch(String),
      greeting => greeting.startsWith('+OK'),
      60_000,
    )
    expect(await stepsOf(...at())).toEqual(each('done'))
    await succeed('--undo', '--yes', ...at())
  } finally {
    await stop()
  }
  const left = (await desk.tree()).filter(
    line => !/\/run\/(systemd|dbus|user|notify|private|gcr|gnupg)|\/run\/\S+ 140/.test(line),
  )
  expect(left).toEqual(before)
})

test('a key that is to stay stays, and one that is gone already is no trouble', async () => {
  await succeed('--no-passphrase', ...trust(), ...at())
  expect(await desk.setup(['--undo', ...at()])).toMatchObject({
    status: 4,
    stdout: '',
    stderr: expect.stringMatching(
      /would be removed, which setup made\n.*\n {2}say --yes if that is meant, or --keep-key\n$/,
    ),
  })
  expect(await succeed('--undo', '--keep-key', ...at())).toMatch(/id_ed25519 stays: --keep-key/)
  const key = join(desk.home.ssh, 'id_ed25519')
  expect(await readFile(`${key}.pub`, 'utf8')).toMatch(/^ssh-ed25519 /)
  await rm(key)
  await rm(`${key}.pub`)
  await makeKey(key)
  expect((await stepsOf(...trust(), ...at()))['key']).toBe('done')
})
