import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { makeKey } from './agent-hosts.js'
import { type EmptyHome, type Hosting, openEmptyHome, openHosting } from './setup-fixture.js'
import { findFreePort } from './world/port.js'
import { residentKeytool } from './world/resident.js'
import { type SshAgent, startSshAgent } from './world/ssh-agent.js'

// What `keytool setup` refuses, with what to type; and what stands in its way and is left alone.

jest.setTimeout(120_000)

/** This file's alone, and there is no mail. */
const host = '127.0.124.1'

let hosting: Hosting
let desk: EmptyHome
let passphrase: string

beforeAll(async () => {
  hosting = await openHosting([host])
})
afterAll(() => hosting?.dispose())
beforeEach(async () => {
  await hosting.reset()
  desk = await openEmptyHome(false)
  passphrase = join(desk.home.path, 'passphrase')
  await writeFile(passphrase, 'dusty plum orchard 7\n', { mode: 0o600 })
})
afterEach(() => desk.dispose())

const at = () => ['-p', String(hosting.sshd.port), `${hosting.user.name}@${host}`]
const trust = () => ['--host-key', hosting.sshd.fingerprints.ed25519, '--password-file', hosting.password]
const setup = (...args: string[]) =>
  residentKeytool(['setup', ...args], { env: desk.env, cwd: desk.home.path, timeoutMs: 60_000 })

test('what can not be done says why and what to type, and nothing is changed, neither here nor there', async () => {
  const wrong = join(desk.home.path, 'wrong')
  await writeFile(wrong, 'wrong\n')
  await mkdir(join(desk.home.path, '.config', 'keytool', 'sessions'), { recursive: true })
  const taken = {
    version: 1,
    name: 'taken',
    host: 'other.example',
    port: 22,
    user: 'x',
    forwards: { local: [], remote: [], dynamic: [] },
  }
  await writeFile(join(desk.home.path, '.config', 'keytool', 'sessions', 'taken.json'), JSON.stringify(taken))
  const busy = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => busy.once('listening', resolve))
  const { port } = busy.address() as { port: number }
  const closed = String(await findFreePort())
  const [home, account] = [await desk.tree(), await hosting.account()]
  const fine = ['--no-passphrase', ...trust()]
  const cases: readonly (readonly [number, RegExp, ...string[]])[] = [
    [2, /no server named, and no terminal to ask on\n {2}keytool setup \[USER@\]HOST/],
    [2, /is no destination/, ...fine, 'a b'],
    [2, /is no destination/, ...fine, '$(id)@127.0.0.1'],
    [2, /is no destination/, ...fine, `x';id'@127.0.0.1`],
    [2, /is no destination/, ...fine, 'hana@a\nb'],
    [2, /unknown option/, ...fine, '-oProxyCommand=id'],
    [2, /does not begin with -/, ...fine, '--', '-oProxyCommand=id'],
    [2, /-L 80 can't be used/, ...fine, '-L', '80', ...at()],
    [2, /contradict/, '--no-passphrase', '--passphrase-file', passphrase, ...at()],
    [2, /contradict/, '--no-passphrase', '--generate-passphrase', ...at()],
    [2, /belongs to --undo/, '--keep-key', ...at()],
    [2, /--kind shell/, '--kind', 'shell', ...fine, ...at()],
    [2, /can't be the name of a session/, '--name', '../x', ...fine, ...at()],
    [4, /which leads elsewhere\n.*\n.*--name/, '--name', 'taken', ...fine, ...at()],
    [4, /no keychain to keep a passphrase/, '--generate-passphrase', ...trust(), ...at()],
    [5, /passphrase for .*is to be made\n.*\n.*--passphrase-file FILE, or say --no-passphrase/, ...trust(), ...at()],
    [
      5,
      /is not content with the password/,
      '--no-passphrase',
      '--host-key',
      hosting.sshd.fingerprints.ed25519,
      '--password-file',
      wrong,
      ...at(),
    ],
    [5, /--password-file/, '--no-passphrase', '--host-key', hosting.sshd.fingerprints.ed25519, ...at()],
    [
      8,
      /is not known\n.*\n.*setup --host-key SHA256:/,
      '--no-passphrase',
      '--password-file',
      hosting.password,
      ...at(),
    ],
    [
      8,
      /another host key than --host-key says/,
      '--no-passphrase',
      '--host-key',
      hosting.sshd.fingerprints.rsa,
      '--password-file',
      hosting.password,
      ...at(),
    ],
    [7, /./, ...fine, '-p', closed, `hana@${host}`],
    [7, /./, ...fine, 'hana@nowhere.invalid'],
    [
      7,
      /has no mail: nothing answers there on ports 110, [\s\S]*-L 1110:mail\.example:110/,
      '--mail',
      ...fine,
      ...at(),
    ],
    [
      1,
      new RegExp(`127\\.0\\.0\\.1:${port} is in use\\n.*pid ${process.pid}`),
      '-L',
      `${port}:localhost:25`,
      ...fine,
      ...at(),
    ],
  ]
  try {
    for (const [status, says, ...args] of cases) {
      const result = await setup(...args)
      expect({ args, status: result.status, stdout: result.stdout }).toEqual({ args, status, stdout: '' })
      expect(result.stderr).toMatch(says)
    }
  } finally {
    busy.close()
  }
  expect(await desk.tree()).toEqual(home)
  expect(await hosting.account()).toEqual(account)
})

test('what goes wrong in the middle says what stands; the same line goes on, and --undo needs no server', async () => {
  const home = await desk.tree()
  // The server takes the line, and does not heed the file.
  await hosting.user.authorize('# nothing yet')
  await chmod(hosting.user.home, 0o777)
  try {
    const failed = await setup('--no-passphrase', ...trust(), ...at())
    expect(failed.status).toBe(1)
    expect(failed.stdout).toMatch(/failed server +see below\n$/)
    expect(failed.stderr).toMatch(/what was done stands \(key, login, agent, host\); the same line again goes on/)
    expect(failed.stderr).toMatch(
      /does not let the key in, though it is there\n {2}~ may be written by .*\n {2}there: chmod go-w ~\n$/,
    )
  } finally {
    await chmod(hosting.user.home, 0o700)
  }
  const again = await setup('--json', ...at())
  expect(again).toMatchObject({ status: 0, stderr: '' })
  expect(JSON.parse(again.stdout)).toMatchObject({
    changed: true,
    steps: [
      ...['key', 'login', 'agent', 'held', 'host', 'server'].map(step => ({ step, state: 'done' })),
      { step: 'session', state: 'made' },
      { step: 'tunnel', state: 'done' },
    ],
  })
  expect(await setup('--undo', '--yes', '--leave-server', ...at())).toMatchObject({ status: 0, stderr: '' })
  expect(await desk.tree()).toEqual(home)
  expect(await readFile(hosting.user.authorizedKeysFile, 'utf8')).toMatch(/^# nothing yet\nssh-ed25519 /)
})

test('without a keychain the agent holds the key, and says what it will ask; a sealed one is undone by password', async () => {
  const [home, account] = [await desk.tree(), await hosting.account()]
  const made = await setup('--passphrase-file', passphrase, ...trust(), ...at())
  expect(made.status).toBe(0)
  expect(made.stderr).toMatch(/^no keychain: the agent will ask for the passphrase once after each login/)
  expect(made.stdout).toMatch(
    /ok key held {2}by the agent at every login; it asks for the passphrase when it is first used/,
  )
  expect(made.stdout).toMatch(/in ~\/\.profile:\n {2}eval "\$\(keytool agent -s\)" >\/dev\/null\n/)
  const lock = (word: string) => residentKeytool([word, '--passphrase-file', passphrase], { env: desk.env })
  expect(await lock('lock')).toMatchObject({ status: 0 })
  expect(await setup(...at())).toMatchObject({
    status: 4,
    stdout: '',
    stderr: expect.stringMatching(/the agent is locked\n/),
  })
  expect(await lock('unlock')).toMatchObject({ status: 0 })
  await residentKeytool(['reencrypt', '--all'], { env: desk.env })
  const undone = await setup('--undo', '--yes', '--password-file', hosting.password, ...at())
  expect(undone).toMatchObject({ status: 0, stderr: '' })
  expect(await desk.tree()).toEqual(home)
  expect(await hosting.account()).toEqual(account)
})

test('the key is on the server already, and the agent of this shell is another program’s: both are used and left alone', async () => {
  await mkdir(desk.home.ssh, { mode: 0o700 })
  const key = join(desk.home.ssh, 'id_ed25519')
  await makeKey(key)
  await hosting.user.authorize(`from="127.0.0.0/8" ${await readFile(`${key}.pub`, 'utf8')}`)
  const other: SshAgent = await startSshAgent(desk.home)
  try {
    const before = await desk.tree()
    const account = await hosting.account()
    const env = { ...desk.env, SSH_AUTH_SOCK: other.socket }
    const line = ['setup', '--only-now', '--host-key', hosting.sshd.fingerprints.ed25519, ...at()]
    const made = await residentKeytool(line, { env, cwd: desk.home.path })
    expect(made).toMatchObject({ status: 0, stdout: expect.stringMatching(/ok server +\S+ lets this key in/) })
    expect(made.stderr).toMatch(/this shell asks .*, which was left as it is/)
    expect(await hosting.account()).toEqual(account)
    expect(await setup('--undo', ...at())).toMatchObject({ status: 0, stderr: '' })
    expect(await desk.tree()).toEqual(before)
    expect(await hosting.account()).toEqual(account)
  } finally {
    await other.stop()
  }
})
