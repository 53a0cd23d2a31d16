import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type LoginFacts, type LoginFile, loginKindsOf, wholeText } from '@keytool/agent'
import { tunnelAtLogin } from '@keytool/tunnel'
import { findProcesses } from './agent-fixture.js'
import { runIn, succeed, takeSnapshot } from './cli-fixture.js'
import { eventually } from './tunnel-cli-fixture.js'
import { type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { findFreePort } from './world/port.js'
import { readPlist, readTask } from './world/python-read.js'
import { keytool, killIfThere, run, runOrThrow } from './world/run.js'
import { start } from './world/start.js'

// Tunnels at login without a systemd of the user's; and what other systems would read, read by those who know the formats.

jest.setTimeout(120_000)

let home: Home

beforeEach(async () => {
  home = await temporaryHome()
})

afterEach(async () => {
  for (const { pid } of await findProcesses(home)) killIfThere(pid)
  await home.dispose()
})

/** A session whose server is not there: no key is needed, and no host key. */
async function save(name: string, ...more: string[]): Promise<void> {
  const [server, listener] = await Promise.all([findFreePort(), findFreePort()])
  const forward = ['-L', `${listener}:localhost:25`]
  await succeed(home, ['session', 'save', name, 'nobody@127.0.0.1', '-p', String(server), ...forward, ...more])
}

test('a desktop that reads the entry starts the tunnel, whatever the paths; it is stopped and taken back', async () => {
  const folder = join(home.path, `a b 100%h $HOME "q" 'r' \`s\` é☃ \\x`)
  await mkdir(folder)
  const env = { ...home.env, XDG_STATE_HOME: folder }
  await save('mail')
  const before = await takeSnapshot(home.path)
  const installed = await keytool(['tunnel', 'install', 'mail'], { env })
  expect(installed).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('until the next login: keytool tunnel'),
  })
  const entry = join(home.path, '.config/autostart/keytool-tunnel-mail.desktop')
  // What it starts holds on to where its words go.
  const launch = ['-c', 'exec "$0" "$@" >/dev/null 2>&1', peerPath('gio'), 'launch', entry]
  await runOrThrow('/bin/sh', launch, { env: home.env })
  const found = async () => JSON.parse((await keytool(['tunnel', 'status', '--json'], { env })).stdout)
  const [{ pid, ...status }] = await eventually(found, ([first]) => first?.state === 'waiting')
  expect(status).toMatchObject({ name: 'mail', state: 'waiting' })
  const environment = (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0')
  expect(environment).toContain(`SSH_AUTH_SOCK=${join(home.runtime, 'keytool', 'agent.sock')}`)
  expect(environment).toContain(`XDG_STATE_HOME=${folder}`)
  expect(await readFile(join(folder, 'keytool/tunnels/login/mail.log'), 'utf8')).toContain('not connected')

  const removed = await keytool(['tunnel', 'uninstall', 'mail'], { env })
  expect(removed).toMatchObject({ status: 0, stdout: expect.stringContaining('mail.log is removed\n') })
  expect(await found()).toEqual([])
  const sockets = join(home.runtime, 'keytool')
  expect(await takeSnapshot(home.path)).toEqual(
    expect.arrayContaining(before.filter(line => !line.startsWith(home.runtime))),
  )
  expect(await readdir(folder)).toEqual([])
  expect(await readdir(join(home.path, '.config'))).toEqual(['keytool'])
  expect(await readdir(join(sockets, 'tunnels'))).toEqual([])
})

test('what can not be installed: its exit status, what to type, and nothing is changed', async () => {
  await save('mail')
  await succeed(home, ['session', 'save', 'idle', 'nobody@127.0.0.1'])
  const entry = join(home.path, '.config/autostart/keytool-tunnel-mail.desktop')
  await succeedWithNotes('tunnel', 'install', 'mail')
  await writeFile(entry, (await readFile(entry, 'utf8')).replace('NoDisplay=true', 'Hidden=true'))
  const before = await takeSnapshot(home.path)
  const cases: readonly (readonly [number, RegExp, ...string[]])[] = [
    [3, /did you mean mail\?/, 'install', 'mial'],
    [2, /session save NAME/, 'install', 'hana@example.com'],
    [2, /session save NAME/, 'install', '../mail'],
    [2, /nothing to forward\n.*session edit idle -L/, 'install', 'idle'],
    [2, /systemd, xdg, launchd, task or shell/, 'install', 'mail', '--kind', 'cron'],
    [6, /no launchd on linux\n.*tunnel install --kind shell/, 'install', 'mail', '--kind', 'launchd'],
    [7, /does not answer\n.*\n.*tunnel install without/, 'install', 'mail', '--kind', 'systemd'],
    [4, /it was edited[^\n]*\n.*\n {2}.*--force/, 'install', 'mail'],
    [4, /it was edited[^\n]*\n.*\n {2}.*--force/, 'uninstall', 'mail'],
    [2, /can't be the name of a session/, 'uninstall', '../mail'],
  ]
  for (const [status, says, ...args] of cases) {
    const result = await runIn(home, ['tunnel', ...args])
    expect({ args, status: result.status, stdout: result.stdout }).toEqual({ args, status, stdout: '' })
    expect(result.stderr).toMatch(says)
  }
  expect(await takeSnapshot(home.path)).toEqual(before)
  expect(await runIn(home, ['session', 'remove', 'mail'])).toMatchObject({
    status: 0,
    stderr: 'its tunnel is still started at login: keytool tunnel uninstall mail\n',
  })
  expect(await succeed(home, ['tunnel', 'uninstall', 'mail', '--force'])).toContain('desktop is removed\n')
})

async function succeedWithNotes(...args: string[]): Promise<{ stdout: string; notes: string[] }> {
  const { status, stdout, stderr } = await runIn(home, args)
  expect(status).toBe(0)
  return { stdout, notes: stderr.split('\n').filter(line => line !== '') }
}

test('what would keep it from coming up is said before, and no more than that', async () => {
  const notes = async (name: string) =>
    JSON.parse((await succeedWithNotes('tunnel', 'install', name, '--dry-run', '--json')).stdout).notes
  const known = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH'
  await writeFile(join(home.ssh, 'known_hosts'), `* ${known}\n`)
  await save('mail')
  expect(await notes('mail')).toEqual([
    expect.stringMatching(/type the password for .*; first: keytool install-pubkey mail$/),
  ])
  await succeed(home, ['gen', '-t', 'ed25519', '--no-passphrase', '-f', join(home.ssh, 'id_ed25519')])
  expect(await notes('mail')).toEqual([])
  // Its own key, and a host on the way that nobody knows.
  const secret = join(home.path, 'passphrase')
  await writeFile(secret, 'right horse\n')
  const key = join(home.ssh, 'locked')
  await succeed(home, ['gen', '-t', 'ed25519', '-f', key, '--passphrase-file', secret])
  await save('far', '-i', key, '-J', 'jump@127.0.0.2')
  await writeFile(join(home.ssh, 'known_hosts'), `127.0.0.2 ${known}\n`)
  expect(await notes('far')).toEqual([
    expect.stringMatching(/^nobody has said yes to the host key of \[127.0.0.1\]:\d+ yet; first: keytool tunnel far,/),
    'nobody is there at login to type the passphrase for ~/.ssh/locked; first: keytool add --at-login ~/.ssh/locked',
  ])
  await writeFile(join(home.ssh, 'known_hosts'), `* ${known}\n`)
  await mkdir(join(home.path, '.config/keytool'), { recursive: true })
  const rule = { version: 1, keys: [{ file: key, atLogin: true }] }
  await writeFile(join(home.path, '.config/keytool/agent.json'), JSON.stringify(rule))
  expect(await notes('far')).toEqual([
    'nothing starts the agent at login, which has the key; first: keytool agent install',
  ])
  await succeed(home, ['agent', 'install'])
  expect(await notes('far')).toEqual([])
})

test('--kind shell prints a line that has a shell start it, and writes nothing', async () => {
  await save('mail')
  const before = await takeSnapshot(home.path)
  const shell = async (...args: string[]) =>
    (await succeedWithNotes('tunnel', 'install', 'mail', '--kind', 'shell', ...args)).stdout
  expect(await shell('-c')).toBe('(keytool tunnel --background --wait mail </dev/null >& /dev/null &)\n')
  const line = await shell('-s')
  expect(await takeSnapshot(home.path)).toEqual(before)
  const bin = join(home.path, 'bin')
  const told = join(home.path, 'told')
  await mkdir(bin)
  await writeFile(join(bin, 'keytool'), `#!/bin/sh\necho "$*" >${told}\n`)
  await chmod(join(bin, 'keytool'), 0o700)
  expect(await run('/bin/sh', ['-c', line], { env: { ...home.env, PATH: bin } })).toMatchObject({
    stdout: '',
    stderr: '',
  })
  // It is made first, and written then.
  const text = () => readFile(told, 'utf8').catch(() => '')
  expect(await eventually(text, read => read.endsWith('\n'))).toBe('tunnel --background --wait mail\n')
})

function fileOf(system: string, facts: Partial<LoginFacts>): LoginFile {
  const [kind] = loginKindsOf(system, tunnelAtLogin('a--b.c', [2, 8]))
  const file = kind?.plan({
    system,
    node: '/n',
    nodeArguments: ['--one'],
    program: '/p',
    home: '/Users/hana',
    state: '/Users/hana/.local/state/keytool',
    socket: '/run/agent.sock',
    env: {},
    uid: 501,
    user: 'hana',
    ...facts,
  }).files[0]
  if (!file) throw new Error('no file')
  return file
}

interface Plist {
  readonly ProgramArguments: readonly [string, ...string[]]
}

test('the property list for launchd is what plistlib reads it to be; its shell runs the tunnel, and ends with it', async () => {
  const tool = join(home.path, `a b%h$HOME "q" 'r' & <s> ]]> é☃`)
  const state = `/Users/${tool}/state`
  const read = (await readPlist(wholeText(fileOf('darwin', { node: tool, state, socket: tool }), 1))) as Plist
  const log = join(state, 'tunnels/login/a--b.c.log')
  const words = ['--one', '/p', 'tunnel', '--wait', '--log', log, 'a--b.c']
  expect(read).toMatchObject({
    Label: 'keytool.tunnel.a--b.c',
    ProgramArguments: ['/bin/sh', '-c', expect.any(String), 'keytool', tool, ...words],
    EnvironmentVariables: { SSH_AUTH_SOCK: tool },
    KeepAlive: { SuccessfulExit: false },
    Umask: 0o77,
  })
  const [, ...args] = read.ProgramArguments
  const told = join(home.path, 'told')
  const end = async (how: string) => {
    await writeFile(tool, `#!/bin/sh\nprintf '%s\\n' "$@" >${told}\n${how}\n`)
    await chmod(tool, 0o700)
    return (await run('/bin/sh', args)).status
  }
  // What is of no use to be started again looks as if it had ended well.
  expect(await end('exit 8')).toBe(0)
  expect(await readFile(told, 'utf8')).toBe(`${words.join('\n')}\n`)
  expect([await end('exit 0'), await end('exit 7'), await end('kill -KILL $$')]).toEqual([0, 7, 137])
  // It is told to end, not left behind.
  await writeFile(
    tool,
    '#!/bin/sh\ntrap "sleep 0.2; echo told; exit 0" TERM\necho ready\nwhile :; do sleep 0.05; done\n',
  )
  const running = await start('/bin/sh', args)
  await running.waitFor(/ready/)
  expect(await running.stop()).toEqual({ status: 0, signal: null })
  expect(running.stdout.text).toContain('told')
})

test('the task for Windows is XML in UTF-16 that starts the tunnel in the background', async () => {
  const node = 'C:\\Program Files\\a & b\\node.exe'
  const state = 'C:\\Users\\hana é☃\\keytool'
  const file = fileOf('win32', { node, program: 'C:\\k.cjs', state })
  expect([file.path, file.encoding]).toEqual([`${state}\\login-task-tunnel-a--b.c.xml`, 'utf16le'])
  expect(await readTask(Buffer.from(`\ufeff${wholeText(file, 0)}`, 'utf16le'))).toMatchObject({
    Command: node,
    Arguments: `--one C:\\k.cjs tunnel --background --wait --log "${state}\\tunnels\\login\\a--b.c.log" a--b.c`,
    LogonType: 'InteractiveToken',
    RunLevel: 'LeastPrivilege',
  })
})
