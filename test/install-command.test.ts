import { chmod, copyFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { eventually } from './tunnel-cli-fixture.js'
import { type Home, opensshOptions, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { findFreePort } from './world/port.js'
import { residentKeytool } from './world/resident.js'
import { keytool, keytoolPath, type RunResult, run, runOrThrow } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'
import { openTerminal } from './world/terminal.js'

// `keytool install-pubkey` as a user runs it, against OpenSSH's server and its real accounts.

jest.setTimeout(120_000)

let user: SystemUser
let sshd: Sshd
let made: Home
let home: Home
let password: string
/** What the server had logged before this test. */
let before: number

beforeAll(async () => {
  user = await createUser()
  sshd = await startSshd({ users: [user] })
  made = await temporaryHome()
  await keytool(['gen', '-t', 'ed25519', '-C', 'mine', '--no-passphrase'], { env: made.env })
})

afterAll(async () => {
  await sshd.stop()
  await user.dispose()
  await made.dispose()
})

beforeEach(async () => {
  home = await temporaryHome()
  for (const name of ['id_ed25519', 'id_ed25519.pub']) await copyFile(join(made.ssh, name), join(home.ssh, name))
  await writeFile(join(home.ssh, 'known_hosts'), sshd.knownHosts)
  password = join(home.path, 'password')
  await writeFile(password, `${user.password}\n`, { mode: 0o600 })
  before = sshd.log().length
})

afterEach(async () => {
  await rm(join(user.home, '.ssh'), { recursive: true, force: true })
  await home.dispose()
})

const key = () => join(home.ssh, 'id_ed25519')
const publicLine = () => readFile(`${key()}.pub`, 'utf8')
const here = () => `${user.name}@127.0.0.1`
const logged = () => sshd.log().slice(before)

function install(...args: string[]): Promise<RunResult> {
  return residentKeytool(['install-pubkey', '-p', String(sshd.port), ...args], { env: home.env, cwd: home.path })
}

const byPassword = (...args: string[]) => install('--password-file', password, ...args)

/** Whether OpenSSH's client gets in with this key file alone. */
async function logsIn(file: string): Promise<boolean> {
  const options = [...opensshOptions(home), '-o', 'IdentitiesOnly=yes', '-i', file, '-p', String(sshd.port)]
  const result = await run(peerPath('ssh'), [...options, here(), 'echo in'], { env: home.env })
  return result.stdout === 'in\n'
}

test('twice is one line; the folder and the file are the user’s alone; OpenSSH logs in with the key', async () => {
  expect(await byPassword(here())).toMatchObject({
    status: 0,
    stdout: `${here()}  ok added to ~/.ssh/authorized_keys line 1, verified with this key alone by that line\n`,
    stderr: '',
  })
  // By password again, and by the key itself.
  for (const again of [byPassword, install]) {
    expect((await again(here())).stdout).toContain('was there already, ~/.ssh/authorized_keys line 1, verified')
  }
  expect(await readFile(user.authorizedKeysFile, 'utf8')).toBe(await publicLine())
  const file = await stat(user.authorizedKeysFile)
  const folder = await stat(join(user.home, '.ssh'))
  expect([file.mode & 0o777, file.uid, folder.mode & 0o777, folder.uid]).toEqual([0o600, user.uid, 0o700, user.uid])
  expect(await logsIn(key())).toBe(true)
})

test('a file whose last line has no newline keeps both keys working', async () => {
  const other = join(home.path, 'other')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', other])
  const line = (await readFile(`${other}.pub`, 'utf8')).trimEnd()
  await user.authorize(line)
  await writeFile(user.authorizedKeysFile, line)
  expect(await byPassword(here())).toMatchObject({ status: 0 })
  expect(await readFile(user.authorizedKeysFile, 'utf8')).toBe(`${line}\n${await publicLine()}`)
  expect(await logsIn(other)).toBe(true)
  expect(await logsIn(key())).toBe(true)
})

test('the same key under another comment, with options or CRLF is there already; a commented-out one is not', async () => {
  const blob = (await publicLine()).split(' ').slice(0, 2).join(' ')
  const before = `# ${blob} old\r\nno-pty,from="127.0.0.1" ${blob} on my old laptop\r\n`
  await user.authorize('placeholder')
  await writeFile(user.authorizedKeysFile, before)
  expect((await byPassword(here())).stdout).toContain('was there already, ~/.ssh/authorized_keys line 2')
  expect(await readFile(user.authorizedKeysFile, 'utf8')).toBe(before)
  await writeFile(user.authorizedKeysFile, `# ${blob} old\n`)
  expect((await byPassword(here())).stdout).toContain('added to ~/.ssh/authorized_keys line 2')
})

test('behind a byte order mark sshd heeds no key: that is said, and the key has a line of its own', async () => {
  await user.authorize('placeholder')
  await writeFile(user.authorizedKeysFile, `\ufeff${await publicLine()}`)
  expect((await byPassword(here())).stdout).toMatch(/added to \S+ line 2, verified .*; .*byte order mark/)
})

test('--dry-run writes nothing, neither there nor here', async () => {
  await writeFile(join(home.ssh, 'known_hosts'), '')
  const files = await readdir(home.path, { recursive: true })
  const result = await byPassword('--dry-run', '--host-key', sshd.fingerprints.ed25519, here())
  expect(result).toMatchObject({
    status: 0,
    stdout: `${here()}  ok would be added to ~/.ssh/authorized_keys\n`,
    stderr: '',
  })
  expect(await readdir(join(user.home, '.ssh')).catch(() => [])).toEqual([])
  expect(await readFile(join(home.ssh, 'known_hosts'), 'utf8')).toBe('')
  expect(await readdir(home.path, { recursive: true })).toEqual(files)
})

test('--options stand before the key, and sshd obeys them', async () => {
  expect(await byPassword('--options', 'from="192.0.2.1"', here())).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/does not let this key in\n.* line 1 limits the key: from="192\.0\.2\.1"\n/),
  })
  expect(await readFile(user.authorizedKeysFile, 'utf8')).toBe(`from="192.0.2.1" ${await publicLine()}`)
  expect(await byPassword('--options', 'no-such-option', here())).toMatchObject({ status: 2 })
  expect(await byPassword('--options', 'from="a"\nssh-rsa AAAA', here())).toMatchObject({ status: 2 })
})

test('a key with a passphrase is proved, too: the passphrase is asked for once, on the terminal', async () => {
  const secret = join(home.path, 'secret')
  await writeFile(secret, 'my passphrase')
  await keytool(['gen', '--force', '--passphrase-file', secret], { env: home.env })
  const terminal = await openTerminal(
    [process.execPath, keytoolPath, 'install-pubkey', '-p', String(sshd.port), here()],
    { env: home.env, cols: 120 },
  )
  await terminal.waitFor(/passphrase for ~\/\.ssh\/id_ed25519/)
  await terminal.type('my passphrase\r')
  await terminal.waitFor(/password for/)
  await terminal.type(`${user.password}\r`)
  await terminal.waitFor(/verified with this key alone/)
  expect(await terminal.exitStatus()).toBe(0)
  const transcript = await terminal.transcript()
  for (const hidden of [user.password, 'my passphrase']) expect(transcript).not.toContain(hidden)
  await terminal.close()
})

test('through SSH_ASKPASS, where there is no terminal', async () => {
  const askpass = join(home.path, 'askpass')
  await writeFile(askpass, `#!/bin/sh\necho "$1" >>'${home.path}/asked'\ncat '${password}'\n`, { mode: 0o755 })
  const env = { ...home.env, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' }
  const result = await keytool(['install-pubkey', '-p', String(sshd.port), here()], { env })
  expect(result).toMatchObject({ status: 0, stderr: '' })
  expect(await readFile(join(home.path, 'asked'), 'utf8')).toBe(`password for ${here()}: \n`)
})

test('a server that asks questions of its own in the place of a password', async () => {
  const config = ['UsePAM yes', 'KbdInteractiveAuthentication yes']
  const asking = await startSshd({ users: [user], passwordUsers: [], config })
  try {
    await writeFile(join(home.ssh, 'known_hosts'), asking.knownHosts)
    const line = ['install-pubkey', '-p', String(asking.port), '--password-file', password, here()]
    const result = await residentKeytool(line, { env: home.env })
    expect(result).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining('verified') })
    expect(asking.log()).toContain('Accepted keyboard-interactive/pam')
    expect(await readFile(user.authorizedKeysFile, 'utf8')).toBe(await publicLine())
  } finally {
    await asking.stop()
  }
})

describe('several hosts', () => {
  test('each has its line, the rest is offered again, and the worst status wins', async () => {
    const free = await findFreePort()
    const result = await byPassword(here(), `ssh://nobody@127.0.0.1:${free}`, 'x@nowhere.invalid')
    // -p goes before what stands in a word, as with ssh; so the second one is the same server, and refuses nobody.
    expect(result.status).toBe(7)
    const lines = result.stdout.trimEnd().split('\n')
    expect(lines[0]).toContain('verified with this key alone')
    expect(lines.slice(1, 3)).toEqual([
      expect.stringMatching(/^ssh:\S+ {2}failed 127\.0\.0\.1 refuses the key offered for nobody/),
      expect.stringMatching(/^x@nowhere\.invalid +failed nowhere\.invalid:\d+ can't be found$/),
    ])
    expect(lines[3]).toBe('1 of 3 hosts ready. Again for the rest:')
    // The very same line, options and all, without the host that is done.
    const again = ['install-pubkey', '-p', String(sshd.port), '--password-file', '~/password']
    expect(lines[4]).toBe(`  keytool ${[...again, `ssh://nobody@127.0.0.1:${free}`, 'x@nowhere.invalid'].join(' ')}`)
  })

  test('--json says the same', async () => {
    const result = await byPassword('--json', here(), 'x@nowhere.invalid')
    expect(JSON.parse(result.stdout)).toEqual([
      { host: here(), user: user.name, state: 'added', code: 0, detail: expect.any(String) },
      { host: 'x@nowhere.invalid', user: 'x', state: 'failed', code: 7, detail: expect.any(String) },
    ])
    expect(JSON.parse(result.stderr)).toMatchObject({ error: { code: 'unreachable' } })
  })
})

describe('what goes wrong', () => {
  test('a wrong password: 5, tried once from a file', async () => {
    await writeFile(password, 'wrong')
    expect(await byPassword(here())).toMatchObject({ status: 5 })
    // Its log may come later than its answer.
    await eventually(
      async () => logged(),
      text => text.includes('Failed password'),
    )
    expect(logged().match(/Failed password/g)).toHaveLength(1)
  })

  test('a key that can’t be opened, and so not proved, is not put anywhere: 5', async () => {
    const secret = join(home.path, 'secret')
    await writeFile(secret, 'my passphrase')
    await keytool(['gen', '--force', '--passphrase-file', secret], { env: home.env })
    await writeFile(secret, 'another')
    for (const more of [[], ['--passphrase-file', secret]])
      expect(await byPassword(...more, here())).toMatchObject({ status: 5 })
    expect(await readdir(join(user.home, '.ssh')).catch(() => [])).toEqual([])
    expect(logged()).not.toContain('Accepted')
  })

  test('no way to ask for a password: 5 at once', async () => {
    expect(await install(here())).toMatchObject({ status: 5 })
  })

  test('a closed port 7, a missing key 3, a file that is no key 6, several keys in it 2', async () => {
    const free = await findFreePort()
    expect(await keytool(['install-pubkey', '-p', String(free), here()], { env: home.env })).toMatchObject({
      status: 7,
    })
    expect(await install('-i', join(home.path, 'none'), here())).toMatchObject({ status: 3 })
    const file = join(home.path, 'file')
    await writeFile(file, 'hello')
    expect(await install('-i', file, here())).toMatchObject({ status: 6 })
    await writeFile(file, (await publicLine()).repeat(2))
    expect(await install('-i', file, here())).toMatchObject({ status: 2 })
  })

  test('an unknown host: 8, and the password never leaves', async () => {
    await writeFile(join(home.ssh, 'known_hosts'), '')
    expect(await byPassword(here())).toMatchObject({ status: 8 })
    expect(logged()).not.toContain('password for')
  })

  test('only the public half is here: added, but not called proved', async () => {
    const alone = join(home.path, 'alone.pub')
    await writeFile(alone, await publicLine())
    const result = await byPassword('-i', alone, here())
    expect(result.status).toBe(1)
    expect(result.stdout).toContain('not verified: the private key is not here')
  })

  test('an authorized_keys in UTF-16 is left as it is: 6', async () => {
    await user.authorize('placeholder')
    const text = Buffer.from('\ufeffssh-ed25519 AAAA\r\n', 'utf16le')
    await writeFile(user.authorizedKeysFile, text)
    expect(await byPassword(here())).toMatchObject({ status: 6 })
    expect(await readFile(user.authorizedKeysFile)).toEqual(text)
  })
})

test.each([
  ['looks elsewhere', 'AuthorizedKeysFile /nonexistent'],
  ['takes no keys', 'PubkeyAuthentication no'],
])('a server that %s: added, but said not to let the key in, and why that may be', async (_what, config) => {
  const elsewhere = await startSshd({ users: [user], config: [config] })
  try {
    await writeFile(join(home.ssh, 'known_hosts'), elsewhere.knownHosts)
    const result = await residentKeytool(
      ['install-pubkey', '-p', String(elsewhere.port), '--password-file', password, here()],
      { env: home.env },
    )
    expect(result.status).toBe(1)
    expect(result.stdout).toContain('failed added to ~/.ssh/authorized_keys line 1, not verified: ')
    const [what, why, how] = result.stderr.split('\n')
    expect(what).toMatch(/ does not let this key in$/)
    expect(why).toContain(config.split(' ')[0])
    expect(how).toMatch(/^ {2}on the server: /)
  } finally {
    await elsewhere.stop()
  }
})

test('modes that sshd does not accept are named with the command that mends them, and not loosened', async () => {
  await user.authorize('placeholder')
  await chmod(user.authorizedKeysFile, 0o666)
  const result = await byPassword(here())
  expect(result.status).toBe(1)
  expect(result.stderr).toMatch(
    /does not let this key in\n {2}added to .*authorized_keys.*0666.*\n {2}on the server: chmod/,
  )
  expect((await stat(user.authorizedKeysFile)).mode & 0o777).toBe(0o666)
})

test('by SFTP alone the same comes of it', async () => {
  expect(await byPassword('--sftp', here())).toMatchObject({
    status: 0,
    stdout: expect.stringContaining(
      'ok added to ~/.ssh/authorized_keys line 1, verified with this key alone by that line',
    ),
  })
  expect(await readFile(user.authorizedKeysFile, 'utf8')).toBe(await publicLine())
  expect(logged()).not.toContain('Starting session: command')
  expect((await byPassword(here())).stdout).toContain('was there already, ~/.ssh/authorized_keys line 1')
})

test('a server that wants a key and a password, and has room for one session: a key that is let in puts the next one there', async () => {
  const config = ['MaxSessions 1', 'PasswordAuthentication yes', 'AuthenticationMethods publickey,password']
  const strict = await startSshd({ users: [user], config })
  const next = join(home.path, 'next')
  const byBoth = (...args: string[]) =>
    residentKeytool([...args, '-p', String(strict.port), '--password-file', password, '-i', next, here()], {
      env: home.env,
    })
  try {
    await writeFile(join(home.ssh, 'known_hosts'), strict.knownHosts)
    await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', next])
    await user.authorize('# none')
    expect(await byBoth('install-pubkey')).toMatchObject({
      status: 5,
      stderr: expect.stringMatching(
        /refuses all 2 keys offered.*\n.*\n {2}a key that is let in has to put this one there/,
      ),
    })
    await user.authorize(await publicLine())
    for (const done of ['added to', 'was there already,'])
      expect(await byBoth('install-pubkey')).toMatchObject({
        status: 0,
        stdout: expect.stringMatching(
          `ok ${done} .* line 3, verified: the server takes this key, and wants more besides`,
        ),
      })
    expect(await byBoth('remove-pubkey')).toMatchObject({ status: 0, stdout: expect.stringContaining('refused since') })
    expect(await readFile(user.authorizedKeysFile, 'utf8')).toBe(`# none\n${await publicLine()}`)
  } finally {
    await strict.stop()
  }
})

test('-i takes the private file, its .pub, or a name of which only the .pub is here; a certificate is no key', async () => {
  for (const path of [key(), `${key()}.pub`]) expect(await byPassword('-i', path, here())).toMatchObject({ status: 0 })
  const ca = join(home.path, 'ca')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', ca])
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-s', ca, '-I', 'me', '-n', user.name, `${key()}.pub`])
  expect(await byPassword('-i', `${key()}-cert.pub`, here())).toMatchObject({
    status: 6,
    stderr: expect.stringMatching(/is a certificate.*\n.*\n {2}name the key: -i ~\/\.ssh\/id_ed25519\.pub\n$/),
  })
  await rm(key())
  expect(await byPassword('-i', key(), here())).toMatchObject({
    status: 1,
    stdout: expect.stringContaining('not verified: the private key is not here'),
  })
})

test('a public half that was swapped is not installed: nothing proves one key with another', async () => {
  const other = join(home.path, 'other')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', other])
  await writeFile(`${key()}.pub`, await readFile(`${other}.pub`))
  const result = await byPassword('-i', `${key()}.pub`, here())
  expect(result).toMatchObject({ status: 6, stdout: '' })
  expect(result.stderr).toContain('are not the same key')
  expect(await readdir(join(user.home, '.ssh')).catch(() => [])).toEqual([])
})

test('… also where the agent holds the key that was put in its place', async () => {
  const other = join(home.path, 'other')
  await runOrThrow(peerPath('ssh-keygen'), ['-q', '-t', 'ed25519', '-N', '', '-f', other])
  await writeFile(`${key()}.pub`, await readFile(`${other}.pub`))
  const agent = ['agent', '--', process.execPath, keytoolPath]
  const script = `"$@" add '${other}' && "$@" install-pubkey -p ${sshd.port} --password-file '${password}' -i '${key()}.pub' ${here()}`
  const result = await keytool(['agent', '--', '/bin/sh', '-c', script, 'sh', ...agent.slice(2)], { env: home.env })
  expect(result.status).toBe(6)
  expect(result.stderr).toContain('are not the same key')
  expect(await readdir(join(user.home, '.ssh')).catch(() => [])).toEqual([])
})

test('a pipe with the name of a default key keeps nobody waiting', async () => {
  await runOrThrow('/usr/bin/mkfifo', [join(home.ssh, 'id_rsa.ppk'), join(home.ssh, 'id_ecdsa')])
  expect(await byPassword(here())).toMatchObject({ status: 0 })
})

test('a session that goes by way of another host is not dialled directly', async () => {
  await keytool(['session', 'save', 'far', here(), '-p', String(sshd.port), '-J', 'bastion.example'], { env: home.env })
  const { status, stderr } = await byPassword('far')
  expect(status).toBe(7)
  expect(stderr).toContain('bastion.example:22')
  expect(logged()).not.toContain('Connection from')
})

test('Ctrl-D and Ctrl-C at a question end it at once, with the terminal as it was', async () => {
  for (const end of ['\x04', '\x03']) {
    const command = [process.execPath, keytoolPath, 'install-pubkey', '-p', String(sshd.port), here()]
    const terminal = await openTerminal(command, { env: home.env })
    await terminal.waitFor(/password for/)
    await terminal.type(end)
    expect(await terminal.exitStatus()).toBe(130)
    await terminal.close()
  }
})
