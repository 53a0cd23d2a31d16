import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { jest } from '@jest/globals'
import { type InstallWorld, openInstallWorld } from './install-world.js'
import { peerPath } from './world/peers.js'
import { residentKeytool } from './world/resident.js'
import { runOrThrow } from './world/run.js'

// Names that mean something to a shell, to ssh, to sshd or to a terminal: `keytool install-pubkey` refuses them, or carries
// them as they are. Each would leave a file called `pwned` if somebody took it for more than a name.

jest.setTimeout(120_000)

let world: InstallWorld

beforeAll(async () => {
  world = await openInstallWorld(1)
})

beforeEach(() => world.clear())

afterEach(async () => {
  for (const folder of [world.home.path, world.user.home]) {
    expect((await readdir(folder, { recursive: true })).filter(name => basename(name) === 'pwned')).toEqual([])
  }
})

afterAll(() => world.dispose())

const here = () => world.hosts[0]?.word ?? ''
const text = () => world.hosts[0]?.read()
const byPassword = (...args: string[]) => world.install('--password-file', world.password, ...args)

/** Nothing that a terminal could act on, and no line that the other side wrote. */
const clean = /^(keytool: [ -~]*\n( {2}[ -~]*\n){0,2})+$/

describe('no host', () => {
  test.each([
    '-oProxyCommand=touch pwned',
    '$(touch pwned)',
    '`touch pwned`',
    'x; touch pwned',
    'a host',
    "o'host",
    '"host"',
    'host\ntouch pwned',
    'host\u001b]0;pwned\u0007',
    '$(touch pwned)@127.2.0.1',
    '-oProxyCommand=touch@127.2.0.1',
    'user\n@127.2.0.1',
    '\u202euser@127.2.0.1',
    '',
    '@',
    'ssh://',
    'ssh://user@127.2.0.1:70000',
  ])('%j', async word => {
    // After `--`, or it would be an option.
    const result = await byPassword('--', word)
    expect({ status: result.status, stdout: result.stdout }).toEqual({ status: 2, stdout: '' })
    expect(result.stderr).toMatch(clean)
    const own = join(world.home.path, 'hosts')
    await writeFile(own, `${word}\n`)
    const listed = await byPassword('--hosts', own)
    expect(listed.status).toBeGreaterThan(0)
    expect(listed.stderr).toMatch(clean)
    expect(listed.stdout).not.toMatch(/[^\n -~]/)
  })

  test('nor as an option of the line', async () => {
    expect(await byPassword('-oProxyCommand=touch pwned')).toMatchObject({ status: 2 })
    expect(await byPassword('-l', '$(touch pwned)', here())).toMatchObject({ status: 2 })
    expect(await byPassword('-J', '$(touch pwned)', here())).toMatchObject({ status: 2 })
    expect(await byPassword('-p', '22; touch pwned', here())).toMatchObject({ status: 2 })
    expect(await byPassword('--parallel', '0', here())).toMatchObject({ status: 2 })
  })
})

test('a user whose name has a blank in it is a user: there are such', async () => {
  const { port = 0 } = world.hosts[0] ?? {}
  const result = await byPassword('-p', String(port), 'a $(touch pwned) user@127.2.0.1')
  expect(result.status).toBe(2)
  expect((await byPassword('-p', String(port), 'a user@127.2.0.1')).status).toBe(5)
  await world.sshds[0]?.waitForLog(/Invalid user a user from/)
})

describe('no options of a key', () => {
  test.each([
    'no-pty\ncommand="touch pwned"',
    'command="a"b"',
    'command="a" touch',
    '$(touch pwned)',
    '',
    ' ',
    'no-pty,',
    'from="*"\u001b[2J',
    'environment="A=1\n"',
  ])('%j', async options => {
    const result = await byPassword('--options', options, here())
    expect({ status: result.status, stdout: result.stdout }).toEqual({ status: 2, stdout: '' })
    expect(result.stderr).toMatch(clean)
    expect(await text()).toBe('')
  })
})

test.each([
  'no-pty,command="echo $(touch pwned) `touch pwned`; touch pwned \'pwned\' %h !! \\"q\\""',
  'environment="A=$(touch pwned)",from="127.*,::1"',
])('options with all that means something to a shell arrive as they are: %s', async options => {
  const result = await byPassword('--options', options, '--dry-run', here())
  expect(result.status).toBe(0)
  await byPassword('--options', options, here())
  expect(await text()).toBe(`${options} ${await world.publicLine()}`)
})

test.each(['it\'s $(touch pwned) `touch pwned` \\ " ! % # ; & | > pwned', '-oProxyCommand=touch pwned', 'ключ 鍵 🔑'])(
  'a comment arrives as it is: %s',
  async comment => {
    const file = join(world.home.path, 'other.pub')
    const [type, blob] = (await world.publicLine()).split(' ')
    await writeFile(file, `${type} ${blob} ${comment}\n`)
    expect((await byPassword('-i', file, here())).stdout).toContain('added to')
    expect(await text()).toBe(`${type} ${blob} ${comment}\n`)
  },
)

test('a comment that would be a line of its own, or act on a terminal, is one line of harmless blanks', async () => {
  const file = join(world.home.path, 'key')
  await runOrThrow(peerPath('ssh-keygen'), [
    '-q',
    '-t',
    'ed25519',
    '-N',
    '',
    '-f',
    file,
    '-C',
    'a\u001b[2J\u202eb\u2028c',
  ])
  expect(await byPassword('-i', file, here())).toMatchObject({ status: 0 })
  expect((await text())?.trimEnd().split('\n')).toHaveLength(1)
  expect(await text()).toMatch(/^ssh-ed25519 \S+ [^\p{Cc}\p{Cf}\u2028\u2029]*\n$/u)
})

test.each(['a key', "$(touch pwned) 'key'", 'new\nline', '`touch pwned`', '--options'])(
  'a key file is opened by its name, whatever that is: %j',
  async name => {
    const file = join(world.home.path, 'keys', name)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, await readFile(world.key), { mode: 0o600 })
    const result = await byPassword('-i', file, here())
    expect(result).toMatchObject({ status: 0, stderr: '' })
    const gone = await byPassword('-i', `${file} is gone`, here())
    expect(gone.status).toBe(3)
    expect(gone.stderr).toMatch(clean)
  },
)

test('a session whose name is an option is a name', async () => {
  const line = ['session', 'save', '--', '-oProxyCommand=touch pwned', here()]
  expect((await residentKeytool(line, { env: world.home.env })).status).not.toBe(0)
  expect(await byPassword('--', '-oProxyCommand=touch pwned')).toMatchObject({ status: 2 })
})
