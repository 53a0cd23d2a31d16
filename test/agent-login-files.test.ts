import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { type LoginFacts, type LoginFile, loginKindsOf, wholeText } from '@keytool/agent'
import { until } from './agent-askpass.js'
import { evaluate, findProcesses, leaveHome, takeSnapshot } from './agent-fixture.js'
import { type Environment, type Home, temporaryHome } from './world/home.js'
import { peerPath } from './world/peers.js'
import { readPlist, readWithPython } from './world/python-read.js'
import { residentKeytool } from './world/resident.js'
import { keytool, run, runOrThrow } from './world/run.js'

// Without a systemd of the user's; and what other systems would read, read by the libraries that know those formats.

jest.setTimeout(120_000)

let home: Home

beforeEach(async () => {
  home = await temporaryHome()
})

afterEach(() => leaveHome(home))

async function succeed(args: string[], env: Environment = home.env): Promise<string> {
  // What an agent comes from is a process of its own.
  const runner = args.includes('-s') ? keytool : residentKeytool
  const { status, stdout, stderr } = await runner(args, { env })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout
}

const entry = () => join(home.path, '.config/autostart/keytool-agent.desktop')

test('where systemd does not answer, the desktop starts it: installed twice, shown, and taken back', async () => {
  const before = await takeSnapshot(home.path)
  const plan = JSON.parse(await succeed(['agent', 'install', '--dry-run', '--json']))
  expect(plan).toMatchObject({
    kind: 'xdg',
    files: [{ path: entry(), state: 'missing' }],
    changed: true,
    written: false,
  })
  const shown = await succeed(['agent', 'install', '--dry-run'])
  expect(shown).toContain('~/.config/autostart/keytool-agent.desktop (new)\n')
  expect(shown).toContain('nothing was written')
  for (const line of plan.files[0].text.trimEnd().split('\n')) expect(shown).toContain(`\n  ${line}\n`)
  expect(await takeSnapshot(home.path)).toEqual(before)

  expect(await succeed(['agent', 'install'])).toContain("by the desktop's autostart\n")
  expect(await readFile(entry(), 'utf8')).toBe(plan.files[0].text)
  const installed = await takeSnapshot(home.path)
  expect(await succeed(['agent', 'install'])).toContain('nothing was changed')
  expect(await succeed(['agent', 'uninstall', '--dry-run'])).toContain('nothing was removed')
  expect(await takeSnapshot(home.path)).toEqual(installed)

  expect(await succeed(['agent', 'uninstall'])).toContain('keytool-agent.desktop is removed\n')
  expect(await readdir(home.path)).toEqual(['.ssh', 'run'])
  expect(JSON.parse(await succeed(['agent', 'uninstall', '--json']))).toEqual([])
})

test.each(['plain', 'with a blank and 100%h $HOME "q" \'r\' `s` é☃ \\x'])(
  'a desktop that reads the entry starts the agent: %s',
  async name => {
    const folder = join(home.path, name)
    await mkdir(folder)
    const env = { ...home.env, XDG_CONFIG_HOME: folder }
    await succeed(['agent', 'install', '--kind', 'xdg'], env)
    const path = join(folder, 'autostart/keytool-agent.desktop')
    expect(await runOrThrow(peerPath('gio'), ['launch', path], { env })).toMatchObject({ stderr: '' })
    const found = async () => JSON.parse(await succeed(['agent', 'status', '--json'], env))
    const { pid } = await until('the agent', async () => {
      const status = await found()
      return status.running && status
    })
    // A second login finds the first agent, and what it started ends.
    await runOrThrow(peerPath('gio'), ['launch', path], { env })
    await until('the second one to end', async () => (await findProcesses(home)).every(each => each.pid === pid))
    const lines = await succeed(['agent', '-s'], env)
    expect((await evaluate(lines)).pid).toBe(pid)
    await succeed(['agent', 'stop'], env)
    await succeed(['agent', 'uninstall'], env)
    expect(await readdir(folder)).toEqual([])
  },
)

test('an edited or foreign entry is in the way: 4, with what to type, and nothing is changed', async () => {
  await succeed(['agent', 'install'])
  await writeFile(entry(), (await readFile(entry(), 'utf8')).replace('NoDisplay=true', 'Hidden=true'))
  const before = await takeSnapshot(home.path)
  for (const command of ['install', 'uninstall']) {
    const { status, stdout, stderr } = await keytool(['agent', command], { env: home.env })
    expect({ status, stdout }).toEqual({ status: 4, stdout: '' })
    expect(stderr).toMatch(
      /^keytool: ~\/.config\/autostart\/\S+ is in the way: it was edited[^\n]*\n.*\n {2}.*--force\n$/,
    )
  }
  expect(await takeSnapshot(home.path)).toEqual(before)
  await succeed(['agent', 'install', '--force'])
  await writeFile(entry(), '[Desktop Entry]\n')
  expect((await keytool(['agent', 'install'], { env: home.env })).status).toBe(4)
  expect(await succeed(['agent', 'uninstall'])).toContain('nothing was changed')
  expect(await readFile(entry(), 'utf8')).toBe('[Desktop Entry]\n')
})

test('--kind shell prints a line that has a shell start the agent, and writes nothing', async () => {
  const before = await takeSnapshot(home.path)
  const shell = async (...args: string[]) =>
    (await keytool(['agent', 'install', '--kind', 'shell', ...args], { env: home.env })).stdout
  const bin = join(home.path, 'bin')
  expect(await shell('-c')).toBe('eval `keytool agent -c` >& /dev/null\n')
  const line = await shell()
  expect(await takeSnapshot(home.path)).toEqual(before)
  await mkdir(bin)
  await writeFile(join(bin, 'keytool'), `#!/bin/sh\necho "SSH_AUTH_SOCK='$*'; echo hello;"\n`)
  await chmod(join(bin, 'keytool'), 0o700)
  const { stdout } = await run('/bin/sh', ['-c', `${line}echo "$SSH_AUTH_SOCK"`], { env: { ...home.env, PATH: bin } })
  expect(stdout).toBe('agent -s\n')
  await rm(bin, { recursive: true })
})

test('what can not be had: its exit status, its reason, and nothing written', async () => {
  const before = await takeSnapshot(home.path)
  const fails = async (...args: string[]) => {
    const { status, stdout, stderr } = await keytool(['agent', 'install', ...args], { env: home.env })
    expect(stdout).toBe('')
    return [status, stderr]
  }
  expect(await fails('--kind', 'systemd')).toEqual([7, expect.stringContaining('does not answer')])
  expect(await fails('--kind', 'launchd')).toEqual([6, expect.stringContaining('no launchd on linux')])
  expect(await fails('--kind', 'cron')).toEqual([2, expect.stringContaining('systemd, xdg, launchd, task or shell')])
  expect(await fails('-a', '/tmp/s')).toEqual([2, expect.any(String)])
  expect(await takeSnapshot(home.path)).toEqual(before)
  // A folder in which nothing can be made, root's rights or not.
  const env = { ...home.env, XDG_CONFIG_HOME: '/proc/self' }
  const { status, stderr } = await keytool(['agent', 'install'], { env })
  expect([status, stderr]).toEqual([1, expect.stringContaining("can't be written")])
  // A systemctl that never answers.
  const bin = join(home.path, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'systemctl'), '#!/bin/sh\nexec sleep 60\n')
  await chmod(join(bin, 'systemctl'), 0o700)
  const slow = { ...home.env, PATH: `${bin}:${home.env['PATH']}` }
  expect(JSON.parse(await succeed(['agent', 'install', '--json'], slow))).toMatchObject({ kind: 'xdg', written: true })
  await succeed(['agent', 'uninstall'], slow)
})

test.each(['install', 'uninstall'])('agent %s --help says what it takes', async command => {
  const text = await succeed(['agent', command, '--help'])
  for (const each of ['--dry-run', '--force', '--json', '--quiet', `Examples:\n  keytool agent ${command}\n`]) {
    expect(text).toContain(each)
  }
})

const odd = `a b%h$HOME "q" 'r' & <s> ]]> é☃`

function fileOf(system: string, facts: Partial<LoginFacts>): LoginFile {
  const [kind] = loginKindsOf(system)
  const plan = kind?.plan({
    system,
    node: '/n',
    nodeArguments: ['--disable-proto=delete'],
    program: '/p',
    home: '/Users/hana',
    state: 'C:\\Users\\hana\\AppData\\Local\\keytool',
    socket: `/Users/hana/${odd}/agent.sock`,
    env: {},
    uid: 501,
    user: 'DESKTOP\\hana & <co>',
    ...facts,
  })
  const file = plan?.files[0]
  if (!file) throw new Error('no file')
  return file
}

test('the property list for launchd is what plistlib reads it to be, whatever the paths', async () => {
  const node = `/opt/${odd}/node`
  const program = `/opt/${odd}/keytool.cjs`
  const file = fileOf('darwin', { node, program })
  expect(file.path).toBe('/Users/hana/Library/LaunchAgents/keytool.agent.plist')
  const read = (await readPlist(wholeText(file, 1))) as { ProgramArguments: string[] }
  const words = ['--disable-proto=delete', program, 'agent', '-D']
  expect(read).toEqual({
    Label: 'keytool.agent',
    ProgramArguments: ['/bin/sh', '-c', expect.any(String), `/Users/hana/${odd}/agent.sock`, node, ...words],
    RunAtLoad: true,
    KeepAlive: { SuccessfulExit: false },
    ThrottleInterval: 60,
    ProcessType: 'Interactive',
    Umask: 0o77,
    HardResourceLimits: { Core: 0 },
    StandardOutPath: '/dev/null',
  })
  // The shell in it, with launchctl's name in another place: what it sets, and what it becomes.
  const [shell = '', ...args] = read.ProgramArguments
  const tool = join(home.path, 'tool')
  await writeFile(tool, '#!/bin/sh\nprintf "%s\\n" "$@"\n')
  await chmod(tool, 0o700)
  const moved = args.map(each => (each === node ? tool : each.replace('/bin/launchctl', tool)))
  expect((await run(shell, moved)).stdout.split('\n')).toEqual([
    ...['setenv', 'SSH_AUTH_SOCK', `/Users/hana/${odd}/agent.sock`],
    ...words,
    '',
  ])
})

test("the task for Windows is XML in UTF-16 with its mark, and its line means what it should to Windows' reader", async () => {
  const windowsOdd = `a b $HOME 'r' & (s) é☃`
  const node = `C:\\Program Files\\${windowsOdd}\\node.exe`
  const program = `C:\\Users\\${windowsOdd}\\keytool.cjs`
  const file = fileOf('win32', { node, program, nodeArguments: ['--a', 'b "c" \\\\', 'd \\"e', ''] })
  expect([file.path, file.encoding]).toEqual(['C:\\Users\\hana\\AppData\\Local\\keytool\\login-task.xml', 'utf16le'])
  const bytes = Buffer.from(`\ufeff${wholeText(file, 0)}`, 'utf16le')
  expect([...bytes.subarray(0, 4)]).toEqual([0xff, 0xfe, 0x3c, 0])
  const script = `
import json, subprocess, sys, xml.etree.ElementTree as xml
root = xml.fromstring(sys.stdin.buffer.read())
space = '{http://schemas.microsoft.com/windows/2004/02/mit/task}'
assert root.tag == space + 'Task'
text = lambda name: [each.text for each in root.iter(space + name)]
line = subprocess.list2cmdline(['--a', 'b "c" \\\\\\\\', 'd \\\\"e', '', ${JSON.stringify(program)}, 'agent'])
print(json.dumps({
  'order': [each.tag.removeprefix(space) for each in root],
  'user': text('UserId'), 'command': text('Command'), 'arguments': text('Arguments'), 'line': line,
  'logon': text('LogonType'), 'level': text('RunLevel'), 'hidden': text('Hidden'),
}))`
  const read = (await readWithPython(script, bytes)) as { line: string }
  expect(read).toEqual({
    order: ['RegistrationInfo', 'Triggers', 'Principals', 'Settings', 'Actions'],
    user: ['DESKTOP\\hana & <co>', 'DESKTOP\\hana & <co>'],
    command: [node],
    arguments: [read.line],
    line: expect.stringContaining('agent'),
    logon: ['InteractiveToken'],
    level: ['LeastPrivilege'],
    hidden: ['true'],
  })
})
