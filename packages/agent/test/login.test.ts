import { chmod, lstat, mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  type Command,
  chooseLoginKind,
  findLoginService,
  type InstallOptions,
  installLogin,
  type LoginFacts,
  type LoginKind,
  type LoginReport,
  loginDisk,
  loginKindsOf,
  type RunTool,
  uninstallLogin,
} from '../src/index.js'
import { secureHeapArguments } from '../src/platform/node-arguments.js'
import { giveAway, makeTemporary } from './support.js'

function factsAt(home: string, more: Partial<LoginFacts> = {}): LoginFacts {
  return {
    system: 'linux',
    node: '/opt/node/bin/node',
    nodeArguments: ['--disable-proto=delete'],
    program: '/opt/keytool/keytool.cjs',
    home,
    state: join(home, '.local/state/keytool'),
    socket: '/run/user/1000/keytool/agent.sock',
    env: {},
    uid: 1000,
    user: 'hana',
    ...more,
  }
}

const kinds = {
  systemd: kindOf('linux', 'systemd'),
  xdg: kindOf('linux', 'xdg'),
  launchd: kindOf('darwin', 'launchd'),
  task: kindOf('win32', 'task'),
}

function kindOf(system: string, name: string): LoginKind {
  const kind = loginKindsOf(system).find(each => each.name === name)
  if (!kind) throw new Error(`no ${name}`)
  return kind
}

/** The system's tools, in place of real ones: checks hold once what they ask about was done. */
class Tools {
  readonly ran: string[] = []
  readonly #holds = new Set<string>()
  /** What fails. */
  failing = /^$/

  readonly run: RunTool = async command => {
    const line = command.join(' ')
    const [, , word = '', ...rest] = command
    if (/^(?:is-enabled|is-active)$/.test(word)) return this.#answer(this.#holds.has(word))
    if (word === 'show-environment') return this.#answer(true, [...this.#holds].join('\n'))
    if (word === 'show') return this.#answer(true)
    this.ran.push(line)
    if (this.failing.test(line)) return { status: 5, stdout: '', stderr: '\nFailed: \u001b[31mno\n' }
    if (word === 'enable') this.#holds.add('is-enabled')
    if (word === 'start') this.#holds.add('is-active').add('SSH_AUTH_SOCK=/run/user/1000/keytool/agent.sock')
    if (word === 'set-environment') this.#holds.add(rest.join(' '))
    if (word === 'disable') this.#holds.clear()
    return this.#answer(true)
  }

  #answer(holds: boolean, stdout = ''): { status: number; stdout: string; stderr: string } {
    return { status: holds ? 0 : 1, stdout, stderr: '' }
  }
}

interface World {
  readonly home: string
  readonly facts: LoginFacts
  readonly tools: Tools
  install(options?: InstallOptions, kind?: LoginKind): Promise<LoginReport>
  uninstall(options?: InstallOptions, kind?: LoginKind): Promise<LoginReport | undefined>
}

async function openWorld(more: Partial<LoginFacts> = {}): Promise<World> {
  const home = await makeTemporary()
  const facts = factsAt(home, more)
  const tools = new Tools()
  const effects = { disk: loginDisk, run: tools.run }
  return {
    home,
    facts,
    tools,
    install: (options, kind = kinds.systemd) => installLogin(kind, facts, effects, options),
    uninstall: (options, kind = kinds.systemd) => uninstallLogin(kind, facts, effects, options),
  }
}

/** Every file below a folder, with its content. */
async function allBelow(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter(each => !each.isDirectory()).map(each => join(each.parentPath, each.name))
  return Object.fromEntries(await Promise.all(files.map(async path => [path, await readFile(path, 'latin1')] as const)))
}

const states = (report: LoginReport | undefined) => report?.files.map(({ state }) => state)
const SERVICE = '.config/systemd/user/keytool-agent.service'

test('twice: the second time nothing is written and nothing is run', async () => {
  const { home, tools, install } = await openWorld()
  expect(states(await install())).toEqual(['missing', 'missing', 'missing'])
  const before = await allBelow(home)
  expect(Object.keys(before)).toHaveLength(3)
  expect(tools.ran).toEqual([
    'systemctl --user daemon-reload',
    'systemctl --user enable keytool-agent.socket',
    'systemctl --user reset-failed keytool-agent.socket keytool-agent.service',
    'systemctl --user start keytool-agent.socket',
  ])
  tools.ran.length = 0
  const again = await install()
  expect(again).toMatchObject({ changed: false, commands: [], held: [] })
  expect(states(again)).toEqual(['same', 'same', 'same'])
  expect(tools.ran).toEqual([])
  expect(await allBelow(home)).toEqual(before)
})

test('files are 0600 in folders of 0700, and the files of settings lie where XDG_CONFIG_HOME says', async () => {
  const elsewhere = join(await makeTemporary(), 'a', 'b')
  const { home, install } = await openWorld({ env: { XDG_CONFIG_HOME: elsewhere } })
  await install()
  expect(await readdir(home)).toEqual([])
  const path = join(elsewhere, 'systemd/user/keytool-agent.service')
  for (const [each, mode] of [
    [path, 0o600],
    [dirname(path), 0o700],
    [elsewhere, 0o700],
  ] as const) {
    expect((await lstat(each)).mode & 0o777).toBe(mode)
  }
  // The service manager may not know of it.
  expect(await readFile(path, 'utf8')).toContain(`\nEnvironment="XDG_CONFIG_HOME=${elsewhere}"\n`)
})

test('a dry run writes nothing, runs nothing, and names all', async () => {
  const { home, tools, install, uninstall } = await openWorld()
  const report = await install({ dryRun: true })
  expect(report.files.map(({ file }) => file.path)).toEqual([
    join(home, '.config/systemd/user/keytool-agent.socket'),
    join(home, SERVICE),
    join(home, '.config/environment.d/60-keytool.conf'),
  ])
  expect(report.commands.map((command: Command) => command[2])).toEqual([
    'daemon-reload',
    'enable',
    'reset-failed',
    'start',
    'set-environment',
  ])
  expect([await readdir(home), tools.ran]).toEqual([[], []])
  await install()
  tools.ran.length = 0
  const before = await allBelow(home)
  expect((await uninstall({ dryRun: true }))?.files).toHaveLength(3)
  expect(await allBelow(home)).toEqual(before)
  expect(tools.ran).toEqual([])
})

test('uninstalling leaves what was there before, and only that', async () => {
  const { home, install, uninstall } = await openWorld()
  const kept = join(home, '.config', 'environment.d')
  await mkdir(kept, { recursive: true })
  await install()
  const wants = join(home, '.config/systemd/user/sockets.target.wants')
  await mkdir(wants)
  await symlink('../keytool-agent.socket', join(wants, 'keytool-agent.socket'))
  expect(states(await uninstall())).toEqual(['same', 'same', 'same'])
  expect((await readdir(home, { recursive: true })).sort()).toEqual(['.config', '.config/environment.d'])
  expect(await uninstall()).toBeUndefined()
})

test('a folder that was made for it but holds something else by now stays', async () => {
  const { home, install, uninstall } = await openWorld()
  await install()
  await writeFile(join(home, '.config/systemd/user/other.service'), '')
  await uninstall()
  expect(Object.keys(await allBelow(home))).toEqual([join(home, '.config/systemd/user/other.service')])
  expect(await readdir(join(home, '.config'))).toEqual(['systemd'])
})

test('a program that moved has its files replaced, and the folders are still known as its own', async () => {
  const { home, facts, install } = await openWorld()
  await install()
  const moved = { ...facts, program: '/elsewhere/keytool.cjs' }
  const tools = new Tools()
  const effects = { disk: loginDisk, run: tools.run }
  expect(states(await installLogin(kinds.systemd, moved, effects))).toEqual(['same', 'outdated', 'same'])
  expect(tools.ran[0]).toBe('systemctl --user daemon-reload')
  expect(await readFile(join(home, SERVICE), 'utf8')).toContain('"/elsewhere/keytool.cjs"')
  await uninstallLogin(kinds.systemd, moved, effects)
  expect(await readdir(home)).toEqual([])
})

test('an edited file is neither replaced nor removed, unless that is said', async () => {
  const { home, tools, install, uninstall } = await openWorld()
  await install()
  const path = join(home, SERVICE)
  const edited = (await readFile(path, 'utf8')).replace('UMask=0077', 'UMask=0022')
  await writeFile(path, edited)
  tools.ran.length = 0
  const refused = { code: 'exists', message: expect.stringContaining(path), hint: expect.stringContaining('--force') }
  await expect(install()).rejects.toMatchObject(refused)
  await expect(uninstall()).rejects.toMatchObject(refused)
  expect(await readFile(path, 'utf8')).toBe(edited)
  expect(Object.keys(await allBelow(home))).toHaveLength(3)
  expect(tools.ran).toEqual([])
  expect(states(await install({ force: true }))).toEqual(['same', 'edited', 'same'])
  expect(await readFile(path, 'utf8')).toContain('UMask=0077')
  await writeFile(path, edited)
  await uninstall({ force: true })
  expect(await readdir(home)).toEqual([])
})

test("another program's file is in the way, and stays when everything else goes", async () => {
  const { home, install, uninstall } = await openWorld()
  const path = join(home, '.config/environment.d/60-keytool.conf')
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, 'SSH_AUTH_SOCK=/mine\n')
  await expect(install()).rejects.toMatchObject({ code: 'exists' })
  await expect(readdir(join(home, '.config/systemd'))).rejects.toMatchObject({ code: 'ENOENT' })
  await install({ force: true })
  await writeFile(path, 'SSH_AUTH_SOCK=/mine\n')
  await uninstall()
  expect(await allBelow(home)).toEqual({ [path]: 'SSH_AUTH_SOCK=/mine\n' })
})

describe('refused, and nothing is written:', () => {
  const file = '.config/systemd/user/keytool-agent.socket'
  test.each<[string, (path: string, home: string) => Promise<void>, RegExp]>([
    ['a link in the place of a file', path => symlink('/etc/hostname', path), /it is a link/],
    ['a link to nowhere', path => symlink('nowhere', path), /it is a link/],
    ['a folder in the place of a file', path => mkdir(path), /not a file/],
    ["another user's file", path => writeFile(path, '').then(() => giveAway(path)), /another user/],
    ["another user's folder", path => giveAway(dirname(path)), /another user/],
    ['a folder that everybody can change', path => chmod(dirname(path), 0o777), /everybody can change/],
    [
      'a folder that leads nowhere',
      path => rename(dirname(path), `${dirname(path)}~`).then(() => symlink('nowhere', dirname(path))),
      /leads nowhere/,
    ],
  ])('%s', async (_, spoil, reason) => {
    const { home, tools, install } = await openWorld()
    const path = join(home, file)
    await mkdir(dirname(path), { recursive: true })
    await spoil(path, home)
    await expect(install({ force: true })).rejects.toMatchObject({
      code: 'refused',
      reason: expect.stringMatching(reason),
    })
    expect(tools.ran).toEqual([])
    expect(await readdir(join(home, '.config'))).toEqual(['systemd'])
  })
})

test("a folder that is a link of the user's own is followed", async () => {
  const { home, install, uninstall } = await openWorld()
  await mkdir(join(home, 'dotfiles'))
  await symlink('dotfiles', join(home, '.config'))
  await install()
  expect(Object.keys(await allBelow(join(home, 'dotfiles')))).toHaveLength(3)
  await uninstall()
  expect(await readdir(home)).toEqual(['.config', 'dotfiles'])
  expect(await readdir(join(home, 'dotfiles'))).toEqual([])
})

test('an agent that runs already is not cut off: its place is taken at the next login', async () => {
  const { tools, install } = await openWorld()
  let asked = 0
  const isTaken = async () => ++asked > 0
  const report = await install({ isTaken })
  expect(report.held.map(command => command[2])).toEqual(['reset-failed', 'start'])
  expect(tools.ran.map(line => line.split(' ')[2])).toEqual(['daemon-reload', 'enable'])
  expect(asked).toBe(1)
  await install()
  // To ask who answers may start an agent: it is not done where nothing is to be taken.
  await install({ isTaken })
  expect(asked).toBe(1)
})

test('a tool that fails is named, with its first words; what it says reaches no terminal', async () => {
  const { home, tools, install } = await openWorld()
  tools.failing = / enable /
  await expect(install()).rejects.toMatchObject({
    code: 'failed',
    message: 'systemctl --user enable keytool-agent.socket ended with 5',
    reason: expect.not.stringContaining('\u001b'),
  })
  tools.failing = /^$/
  tools.ran.length = 0
  // What was written stays, and the same goes on from there.
  expect(states(await install())).toEqual(['same', 'same', 'same'])
  expect(tools.ran[0]).toBe('systemctl --user enable keytool-agent.socket')
  tools.failing = /./
  await uninstallLogin(kinds.systemd, factsAt(home), { disk: loginDisk, run: tools.run })
  expect(await readdir(home)).toEqual([])
})

describe('which kind', () => {
  const silent: RunTool = async () => ({ status: undefined, stdout: '', stderr: '' })

  test('systemd where it answers, else the desktop; launchd and a task where there is nothing else', async () => {
    expect((await chooseLoginKind('linux', new Tools().run)).name).toBe('systemd')
    expect((await chooseLoginKind('linux', silent)).name).toBe('xdg')
    expect((await chooseLoginKind('darwin', silent)).name).toBe('launchd')
    expect((await chooseLoginKind('win32', silent)).name).toBe('task')
    expect((await chooseLoginKind('freebsd', silent)).name).toBe('xdg')
    await expect(chooseLoginKind('aix', silent)).rejects.toMatchObject({ code: 'unsupported' })
  })

  test('one that was asked for, if it can be had', async () => {
    expect((await chooseLoginKind('linux', new Tools().run, 'xdg')).name).toBe('xdg')
    await expect(chooseLoginKind('linux', silent, 'systemd')).rejects.toMatchObject({ code: 'unreachable' })
    expect((await chooseLoginKind('linux', silent, 'systemd', true)).name).toBe('systemd')
    await expect(chooseLoginKind('linux', silent, 'launchd')).rejects.toMatchObject({ code: 'unsupported' })
  })
})

describe('a path that no file can say', () => {
  const windows = { system: 'win32', node: 'C:\\node.exe', program: 'C:\\keytool.cjs' }
  test.each<[LoginKind, Partial<LoginFacts>]>([
    [kinds.systemd, { program: '/a\nExecStartPre=/bin/evil' }],
    [kinds.systemd, { node: 'node' }],
    [kinds.systemd, { env: { XDG_STATE_HOME: '/a\nb' } }],
    [kinds.xdg, { program: '/a\nb' }],
    [kinds.xdg, { node: '/a=b/node' }],
    [kinds.launchd, { system: 'darwin', program: '/a\u0007b' }],
    [kinds.task, { ...windows, program: 'C:\\%TEMP%\\keytool.cjs' }],
    [kinds.task, { ...windows, program: 'C:\\$(Arg0)' }],
  ])('$name refuses %j', async (kind, more) => {
    expect(() => kind.plan(factsAt('/home/hana', more))).toThrow(expect.objectContaining({ code: 'unsupported' }))
  })
})

describe('what is found', () => {
  test('none; ready; of a program that moved; edited; without a file; not enabled', async () => {
    const { home, facts, install } = await openWorld()
    const find = async (more: Partial<LoginFacts> = {}) => {
      const { kind, state, fits } = await findLoginService({ ...facts, ...more })
      return [kind, state, fits]
    }
    expect(await find()).toEqual(['none', undefined, true])
    await install()
    expect(await find()).toEqual(['systemd', 'disabled', false])
    const wants = join(home, '.config/systemd/user/sockets.target.wants')
    await mkdir(wants)
    await symlink('../keytool-agent.socket', join(wants, 'keytool-agent.socket'))
    expect(await find()).toEqual(['systemd', 'ready', true])
    // How much memory may be locked is the shell's affair.
    const heap = secureHeapArguments('linux', Number.POSITIVE_INFINITY)
    expect(await find({ nodeArguments: [...heap, ...facts.nodeArguments] })).toEqual(['systemd', 'ready', true])
    expect(await find({ node: '/opt/newer/bin/node' })).toEqual(['systemd', 'outdated', false])
    const path = join(home, SERVICE)
    const text = await readFile(path, 'utf8')
    await writeFile(path, `${text}Nice=5\n`)
    expect(await find()).toEqual(['systemd', 'edited', true])
    expect(await find({ program: '/elsewhere/keytool.cjs' })).toEqual(['systemd', 'outdated', false])
    await writeFile(path, text)
    await rename(join(home, '.config/environment.d/60-keytool.conf'), join(home, 'away'))
    expect(await find()).toEqual(['systemd', 'incomplete', false])
    await symlink('/dev/null', join(home, '.config/environment.d/60-keytool.conf'))
    expect(await find()).toEqual(['systemd', 'unreadable', false])
  })

  test.each([
    ['linux', 'xdg'],
    ['darwin', 'launchd'],
  ])('on %s, %s', async (system, name) => {
    const { home, facts } = await openWorld({ system })
    const effects = { disk: loginDisk, run: new Tools().run }
    await installLogin(kindOf(system, name), facts, effects)
    expect(await findLoginService(facts)).toMatchObject({ kind: name, state: 'ready', fits: true })
    await uninstallLogin(kindOf(system, name), facts, effects)
    expect(await readdir(home)).toEqual([])
    expect(await findLoginService(facts)).toMatchObject({ kind: 'none' })
  })
})
