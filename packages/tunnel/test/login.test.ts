import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import {
  type InstallOptions,
  installLogin,
  type LoginFacts,
  type LoginKindName,
  type LoginReport,
  loginDisk,
  loginKindsOf,
  type RunTool,
  uninstallLogin,
} from '@keytool/agent'
import { loginLog, tunnelAtLogin } from '../src/index.js'

const FINAL = [2, 8]
const UNIT = 'keytool-tunnel-mail.service'

const homes: string[] = []

afterAll(async () => {
  for (const home of homes) await rm(home, { recursive: true })
})

function kindOf(system: string, name: LoginKindName, session = 'mail') {
  const kind = loginKindsOf(system, tunnelAtLogin(session, FINAL)).find(each => each.name === name)
  if (!kind) throw new Error(`no ${name}`)
  return kind
}

function factsAt(home: string, more: Partial<LoginFacts> = {}): LoginFacts {
  return {
    system: 'linux',
    node: '/opt/node',
    nodeArguments: [],
    program: '/opt/keytool.cjs',
    home,
    state: join(home, 'state/keytool'),
    socket: '/run/agent.sock',
    env: {},
    uid: 1000,
    user: 'hana',
    ...more,
  }
}

/** A service manager that does what it is told, and what it was told. */
async function openWorld() {
  const home = await mkdtemp(join(tmpdir(), 'kt-'))
  homes.push(home)
  const ran: string[] = []
  const holds = new Set<string>()
  const run: RunTool = async command => {
    const [, , word = ''] = command
    const isCheck = /^is-/.test(word)
    if (!isCheck) ran.push(command.slice(2).join(' '))
    if (word === 'enable') holds.add('is-enabled')
    if (word === 'start') holds.add('is-active')
    if (word === 'disable') holds.clear()
    return { status: isCheck && !holds.has(word) ? 1 : 0, stdout: '', stderr: '' }
  }
  const effects = { disk: loginDisk, run }
  const facts = factsAt(home)
  const kind = kindOf('linux', 'systemd')
  return {
    home,
    facts,
    ran,
    holds,
    unit: join(home, '.config/systemd/user', UNIT),
    install: (options?: InstallOptions, more?: Partial<LoginFacts>): Promise<LoginReport> =>
      installLogin(kind, { ...facts, ...more }, effects, options),
    uninstall: (options?: InstallOptions): Promise<LoginReport | undefined> =>
      uninstallLogin(kind, facts, effects, options),
  }
}

test('enabled and started, and the second time nothing is done', async () => {
  const { ran, install, unit } = await openWorld()
  await install()
  const done = ['daemon-reload', `enable ${UNIT}`, `reset-failed ${UNIT}`, `start ${UNIT}`]
  expect(ran).toEqual(done)
  expect(await install()).toMatchObject({ changed: false, commands: [], held: [] })
  expect(ran).toEqual(done)
  const text = await readFile(unit, 'utf8')
  expect(text).toContain('\nRestart=on-failure\nRestartSec=5s\nRestartPreventExitStatus=2 8\n')
  expect(text).toContain('\nEnvironment="SSH_AUTH_SOCK=/run/agent.sock"\n')
})

test('started again where what it runs has changed, and not where it does not run', async () => {
  const { ran, holds, install } = await openWorld()
  await install()
  ran.length = 0
  await install({}, { program: '/elsewhere.cjs' })
  expect(ran).toEqual(['daemon-reload', `restart ${UNIT}`])
  holds.delete('is-active')
  ran.length = 0
  await install()
  expect(ran).toEqual(['daemon-reload', `reset-failed ${UNIT}`, `start ${UNIT}`])
})

test('one that was started by hand keeps its ports until it ends', async () => {
  const { ran, install } = await openWorld()
  const report = await install({ isTaken: async () => true })
  expect(report.held.map(([, , word]) => word)).toEqual(['reset-failed', 'start'])
  expect(ran).toEqual(['daemon-reload', `enable ${UNIT}`])
})

test('what it has written goes with it, and nothing else', async () => {
  const { home, facts, install, uninstall } = await openWorld()
  const log = loginLog(facts, 'mail')
  await mkdir(dirname(log), { recursive: true })
  await install()
  await writeFile(log, '')
  await symlink('/etc/hostname', `${log}.1`)
  const order: string[] = []
  const stop = async () => void order.push(...(await readdir(dirname(log))))
  expect((await uninstall({ dryRun: true, stop }))?.traces).toEqual([log])
  expect(order).toEqual([])
  expect((await uninstall({ stop }))?.traces).toEqual([log])
  // What writes has ended by then.
  expect(order).toEqual(['mail.log', 'mail.log.1'])
  expect(await readdir(dirname(log))).toEqual(['mail.log.1'])

  await rm(`${log}.1`)
  await install()
  await writeFile(log, '')
  await uninstall()
  expect(await readdir(home)).toEqual(['state'])
  expect(await readdir(join(home, 'state'))).toEqual([])
})

test("a file of the agent's is none of a tunnel's", async () => {
  const { unit, install, uninstall } = await openWorld()
  await install()
  const text = (await readFile(unit, 'utf8')).replace('keytool tunnel install', 'keytool agent install')
  await writeFile(unit, text)
  await expect(install()).rejects.toMatchObject({ code: 'exists', message: expect.stringContaining('in the way') })
  expect(await uninstall()).toBeUndefined()
  expect(await readFile(unit, 'utf8')).toBe(text)
})

test('a name that is none of a session is refused before anything has it', () => {
  for (const name of ['', '../mail', 'a b', '-x', '.x', 'a%h', 'x'.repeat(65)]) {
    expect(() => tunnelAtLogin(name, FINAL)).toThrow(expect.objectContaining({ code: 'usage' }))
  }
})

test.each<[string, LoginKindName, Partial<LoginFacts>]>([
  ['linux', 'systemd', { socket: '/a\nExecStartPre=/bin/evil' }],
  ['linux', 'systemd', { state: '/a\nb' }],
  ['linux', 'xdg', { node: '/a=b/node' }],
  ['linux', 'xdg', { socket: '/a\nb' }],
  ['darwin', 'launchd', { socket: '/a\u0007b' }],
  ['win32', 'task', { node: 'C:\\n.exe', program: 'C:\\p.cjs', state: 'C:\\%TEMP%' }],
])('on %s, %s: a path that its files can not say is refused: %j', (system, name, more) => {
  expect(() => kindOf(system, name).plan(factsAt('/home/hana', { system, ...more }))).toThrow(
    expect.objectContaining({ code: 'unsupported' }),
  )
})

test('each session has files of its own under each kind', () => {
  for (const system of ['linux', 'darwin', 'win32']) {
    for (const { name } of loginKindsOf(system)) {
      const absolute = system === 'win32' ? { node: 'C:\\n', program: 'C:\\p' } : {}
      const paths = ['mail', 'mail.2', 'agent'].map(
        session => kindOf(system, name, session).plan(factsAt('/h', { system, ...absolute })).files[0]?.path,
      )
      expect(new Set(paths).size).toBe(3)
    }
  }
})
