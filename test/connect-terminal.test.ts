import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { findDescendants } from './world/descendants.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import { keytool, keytoolPath, killIfThere, run } from './world/run.js'
import { type Sshd, startSshd } from './world/sshd.js'
import { createUser, type SystemUser } from './world/system-user.js'
import { openTerminal, type Terminal } from './world/terminal.js'

// `keytool connect` in a real terminal, with a shell at OpenSSH's server.

jest.setTimeout(120_000)

let home: Home
let user: SystemUser
let sshd: Sshd
let env: Environment

beforeAll(async () => {
  home = await temporaryHome()
  env = home.env
  user = await createUser()
  await keytool(['gen', '-t', 'ed25519', '--no-passphrase'], { env })
  sshd = await startSshd({
    users: [user],
    authorizedKeys: [await readFile(join(home.ssh, 'id_ed25519.pub'), 'utf8')],
    config: ['AcceptEnv LANG LC_*'],
  })
  await writeFile(join(home.ssh, 'known_hosts'), sshd.knownHosts)
  // What the shell says first, so that it can be told from anything of ours.
  await writeFile(join(user.home, '.profile'), "PS1='far> '\n", { mode: 0o644 })
})

afterAll(async () => {
  await sshd.stop()
  await user.dispose()
  await home.dispose()
})

const line = (...more: string[]) => [
  process.execPath,
  keytoolPath,
  'connect',
  '-p',
  String(sshd.port),
  `${user.name}@127.0.0.1`,
  ...more,
]

/** Notes the terminal's modes before and after the program, which terminal it is, and whose child the program. */
const around =
  'echo $$ >"$0/parent"; tty >"$0/tty"; stty -a >"$0/before"; "$@"; status=$?; stty -a >"$0/after"; exit $status'

const noted = (name: string) => readFile(join(home.path, name), 'utf8').then(text => text.trim())

async function open(...more: string[]): Promise<Terminal> {
  return openTerminal(['/bin/sh', '-c', around, home.path, ...line(...more)], { env })
}

async function openShell(...more: string[]): Promise<Terminal> {
  const terminal = await open(...more)
  await terminal.waitFor(/^far>/m)
  return terminal
}

/** The terminal is as it was: echo, line feeds, everything. */
async function expectRestored(): Promise<void> {
  const [before, after] = await Promise.all([noted('before'), noted('after')])
  const size = /rows \d+; columns \d+/
  expect(after.replace(size, '')).toBe(before.replace(size, ''))
  expect(before).toMatch(/ icanon .* echo /)
}

describe('a shell', () => {
  test('has a terminal of this size, follows it, gets Ctrl-C, ends with its own status', async () => {
    const terminal = await openShell()
    await terminal.type('stty size; echo $TERM $LANG\r')
    await terminal.waitFor(/^30 100\nscreen-256color C\.UTF-8$/m)
    await run('/usr/bin/stty', ['-F', await noted('tty'), 'rows', '20', 'cols', '70'])
    // The new size and these keys go different ways to our program.
    await terminal.type('until stty size | grep "^20 70$"; do sleep 0.1; done\r')
    await terminal.waitFor(/^20 70$/m)
    await terminal.type('echo go; sleep 100\r')
    await terminal.waitFor(/^go$/m)
    await terminal.type('\x03')
    await terminal.type('echo it was $?\r')
    await terminal.waitFor(/^it was 130$/m)
    await terminal.type('exit 3\r')
    expect(await terminal.exitStatus()).toBe(3)
    expect(await terminal.screen()).toMatch(/connection to \S+@127\.0\.0\.1:\d+ closed$/)
    await expectRestored()
    await terminal.close()
  })

  test('a line feed goes straight down: full-screen programs rely on it', async () => {
    const terminal = await openShell()
    await terminal.type("stty -opost; printf 'down\\nfrom\\nthere\\n\\r'; stty opost\r")
    await terminal.waitFor(/^down\n {4}from\n {8}there$/m)
    await terminal.type('exit\r')
    expect(await terminal.exitStatus()).toBe(0)
    await terminal.close()
  })
})

test('a password that is asked for stays with us, and the shell gets every key after it', async () => {
  const other = await temporaryHome()
  await writeFile(join(other.ssh, 'known_hosts'), sshd.knownHosts)
  const terminal = await openTerminal(line(), { env: other.env })
  await terminal.waitFor(/password for/)
  await terminal.type(`${user.password}\r`)
  await terminal.waitFor(/^far>/m)
  await terminal.type('echo a b | tr ab AB\r')
  await terminal.waitFor(/^A B$/m)
  await terminal.type('exit\r')
  expect(await terminal.exitStatus()).toBe(0)
  expect(await terminal.transcript()).not.toContain(user.password)
  await terminal.close()
  await other.dispose()
})

describe('escapes', () => {
  test('~? helps, ~# lists, ~~ is a tilde, ~. ends it', async () => {
    const terminal = await openShell()
    await terminal.type('~?')
    await terminal.waitFor(/~\?\nEscapes, at the beginning of a line:\n ~\. {3}end the connection\n/)
    await terminal.type('~#')
    await terminal.waitFor(/^~#\nnothing is forwarded$/m)
    await terminal.type('~~x ~.\r')
    await terminal.waitFor(/~x: not found/)
    await terminal.type('~.')
    expect(await terminal.exitStatus()).toBe(255)
    expect(await terminal.screen()).toMatch(/~\.\nconnection to \S+ closed$/)
    await expectRestored()
    await terminal.close()
  })

  test('~. ends it, too, when the server says nothing any more', async () => {
    const terminal = await openShell()
    const sessions = await findDescendants(sshd.pid)
    for (const pid of sessions) killIfThere(pid, 'SIGSTOP')
    await terminal.type('\r~.')
    expect(await terminal.exitStatus()).toBe(255)
    for (const pid of sessions) killIfThere(pid, 'SIGCONT')
    await expectRestored()
    await terminal.close()
  })

  test('~^Z suspends it, and fg goes on where it was', async () => {
    const terminal = await openTerminal(['/bin/bash', '--norc', '--noprofile', '-i'], {
      env: { ...env, PS1: 'near> ' },
    })
    await terminal.waitFor(/near>/)
    await terminal.type(`${line().join(' ')}\r`)
    await terminal.waitFor(/^far>/m)
    await terminal.type('~\x1a')
    await terminal.waitFor(/Stopped.*\n(.*\n)*near>/)
    await terminal.type('stty -a | grep -c " icanon "; fg\r')
    await terminal.waitFor(/^1$/m)
    await terminal.type('echo it goes on\r')
    await terminal.waitFor(/^it goes on$/m)
    await terminal.type('exit 4\r')
    await terminal.waitFor(/closed\nnear>/)
    await terminal.type('exit $?\r')
    expect(await terminal.exitStatus()).toBe(4)
    await terminal.close()
  })
})

describe('the terminal is as it was, whatever ends it', () => {
  test.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGQUIT', 131],
  ] as const)('%s', async (signal, status) => {
    const terminal = await openShell()
    const [program] = await findDescendants(Number(await noted('parent')))
    if (program !== undefined) process.kill(program, signal)
    expect(await terminal.exitStatus()).toBe(status)
    await expectRestored()
    await terminal.close()
  })

  test('a connection that is lost: 7', async () => {
    const terminal = await openShell()
    await sshd.dropConnections()
    expect(await terminal.exitStatus()).toBe(7)
    expect(await terminal.screen()).toMatch(/^keytool: .*127\.0\.0\.1/m)
    await expectRestored()
    await terminal.close()
  })

  test('a command with a terminal, which it leaves in disorder', async () => {
    const terminal = await open('-t', 'stty raw -echo; exit 6')
    expect(await terminal.exitStatus()).toBe(6)
    await expectRestored()
    await terminal.close()
  })
})

describe('a far side in another charset', () => {
  test('EUC-JP: a file is read as what it says, and what is typed arrives as EUC-JP', async () => {
    await writeFile(join(user.home, 'letter'), Buffer.from('c6fccbdcb8ec0a8fb0a1a4c8a5ab0a', 'hex'))
    const terminal = await openShell('--charset', 'euc-jp')
    await terminal.type('cat letter\r')
    await terminal.waitFor(/^日本語\n丂とカ$/m)
    await terminal.type('cat >typed\r')
    await terminal.type('漢字とかな\r')
    await terminal.type('\x04')
    await terminal.type('od -An -tx1 typed; echo ~/表示\r')
    await terminal.waitFor(/ b4 c1 bb fa a4 c8 a4 ab a4 ca 0a\n.*\/表示$/m)
    await terminal.type('exit\r')
    expect(await terminal.exitStatus()).toBe(0)
    await terminal.close()
    expect((await readFile(join(user.home, 'typed'))).toString('hex')).toBe('b4c1bbfaa4c8a4aba4ca0a')
  })

  test('Shift_JIS: second bytes that look like a backslash', async () => {
    const terminal = await openShell('--charset', 'Shift_JIS')
    await terminal.type("printf '\\203\\134\\225\\134\\216\\246\\n'\r")
    await terminal.waitFor(/^ソ表示$/m)
    await terminal.type('cat >typed\r')
    await terminal.type('ソフト表😀\r')
    await terminal.waitFor(/shift_jis lacks some of what you typed/)
    await terminal.type('\x04')
    await terminal.type('exit\r')
    expect(await terminal.exitStatus()).toBe(0)
    await terminal.close()
    expect((await readFile(join(user.home, 'typed'))).toString('hex')).toBe('835c8374836795' + '5c3f0a')
  })
})
