import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { eventually, openTunnelWorld, portIn, type TunnelWorld } from './tunnel-cli-fixture.js'
import { findFreePort } from './world/port.js'
import { keytoolPath } from './world/run.js'
import { openTerminal, type Terminal, type TerminalOptions } from './world/terminal.js'

// What `keytool tunnel` shows on a terminal while it holds on.

jest.setTimeout(120_000)

const ESCAPE = /\p{Cc}(?<!\n|\r)/u
const COLOUR = new RegExp(`${'\u001b'}\\[[\\d;]*m`)

let world: TunnelWorld

beforeAll(async () => {
  world = await openTunnelWorld()
})

afterEach(() => world.clear())
afterAll(() => world?.dispose())

const command = (...args: string[]) => [process.execPath, keytoolPath, 'tunnel', ...args, ...world.there]

function open(args: string[], options: TerminalOptions = {}): Promise<Terminal> {
  return openTerminal(command(...args), { env: world.env, cols: 120, ...options })
}

async function leave(terminal: Terminal): Promise<void> {
  await terminal.type('\x03')
  expect(await terminal.exitStatus()).toBe(0)
  await terminal.close()
}

test('state, time, what goes through; it stands at the foot alone, and is gone at the end', async () => {
  const target = await world.serve(socket => socket.resume().write('x'.repeat(2048)))
  const dead = await findFreePort()
  const terminal = await open(['-L', `0:127.0.0.1:${target}`, '-L', `0:127.0.0.1:${dead}`, '-D', '0'])
  const title = `127.0.0.1:${world.sshd.port} as ${world.user.name}`
  const [, first = ''] = await terminal.waitFor(new RegExp(`${title.replaceAll('.', '\\.')}   up (00:0\\d:[0-5]\\d)`))
  // It goes on.
  await terminal.waitFor(new RegExp(`   up (?!${first})00:0\\d:[0-5]\\d`))
  await terminal.waitFor(new RegExp(`-> 127\\.0\\.0\\.1:${dead} +dead .*can't reach`))
  await terminal.waitFor(/-> SOCKS +alive +0 conns, 0 so far/)

  const guest = connect(portIn(await terminal.screen()), '127.0.0.1')
  await once(guest, 'data')
  guest.write('12345')
  await terminal.waitFor(new RegExp(`-> 127\\.0\\.0\\.1:${target} +alive +1 conn, 1 so far +2\\.0 KiB ↓ +5 B ↑`))
  guest.destroy()
  await terminal.waitFor(/0 conns, 1 so far/)

  const lost = terminal.waitFor(/waiting 00:|connecting 00:|reconnects 1/)
  await world.sshd.dropConnections()
  await lost
  await terminal.waitFor(/up 00:0\d:\d\d +reconnects 1/)
  // One title only, however often it was drawn.
  expect((await terminal.screen()).split(title)).toHaveLength(2)

  await terminal.type('\x03')
  expect(await terminal.exitStatus()).toBe(0)
  const screen = await terminal.screen()
  expect(screen).not.toContain(title)
  expect(screen.split('\n').at(-1)).toMatch(/^protected as far as /)
  await terminal.close()
})

test('in a window that is made small, it is cut, not broken', async () => {
  const terminal = await open([
    '-L',
    '0:127.0.0.1:1',
    '-L',
    '0:127.0.0.1:2',
    '-L',
    '0:127.0.0.1:3',
    '-L',
    '0:127.0.0.1:4',
  ])
  await terminal.waitFor(/reconnects 0[\s\S]*127.0.0.1:4 +dead/)
  await terminal.resize(40, 5)
  // Drawn anew at this size.
  await terminal.waitFor(/ as [\s\S]*127\.0\.0\.1:3 +dead$/)
  await new Promise(resolve => setTimeout(resolve, 1100))
  const rows = (await terminal.screen()).split('\n')
  expect(rows.length).toBeLessThanOrEqual(5)
  for (const row of rows) expect(row.length).toBeLessThan(40)
  await terminal.resize(120, 30)
  await terminal.waitFor(/up 00:0\d:\d\d[\s\S]*127.0.0.1:4 +dead/)
  expect((await terminal.screen()).split('reconnects')).toHaveLength(2)
  await leave(terminal)
})

test('NO_COLOR has no colours in it; a terminal that can do nothing has no view', async () => {
  const plain = await open(['-L', '0:127.0.0.1:1'], { env: { ...world.env, NO_COLOR: '1' } })
  await plain.waitFor(/up 00:0\d:/)
  expect(await plain.transcript()).not.toMatch(COLOUR)
  await leave(plain)
  // tmux sets TERM itself for what it starts.
  const dumb = await openTerminal(['env', 'TERM=dumb', ...command('-L', '0:127.0.0.1:1')], {
    env: world.env,
    cols: 120,
  })
  await dumb.waitFor(/protected as far as/)
  expect(await dumb.transcript()).not.toMatch(ESCAPE)
  await leave(dumb)
})

test('--quiet, --json, a log on the terminal: no view', async () => {
  const flags = ['--quiet', '--json', '--log=-']
  const terminals = await Promise.all(
    flags.map((flag, i) => open(['-L', `0:127.0.0.1:${i + 1}`, flag, '--probe', '0'])),
  )
  await eventually(world.status, all => all.length === 3 && all.every(({ state }) => state === 'up'))
  const look = () => Promise.all(terminals.map(terminal => terminal.transcript()))
  // What was said is recorded a moment later: the last of it is a whole line of each but the first.
  const before = await eventually(look, ([, ...others]) => others.every(said => /protected.*\r?\n$/.test(said)))
  await new Promise(resolve => setTimeout(resolve, 1100))
  expect(await look()).toEqual(before)
  expect(before[0]).toBe('')
  expect(JSON.parse(before[1] ?? '')).toMatchObject({ state: 'up' })
  for (const terminal of terminals) await leave(terminal)
})

test('a password is asked for anew after a loss, alone on the screen; the view is back afterwards', async () => {
  const file = join(world.home.path, 'config')
  await writeFile(file, 'Host *\n  PubkeyAuthentication no\n')
  const target = await world.serve(socket => socket.end('hello'))
  const terminal = await open(['-F', file, '--refuse', '-L', `0:127.0.0.1:${target}`])
  await terminal.waitFor(/password for/)
  await terminal.type(`${world.user.password}\r`)
  await terminal.waitFor(/up 00:0\d:/)
  const port = portIn(await terminal.screen())
  await world.sshd.dropConnections()
  await terminal.waitFor(/password for .*\n*$/)
  await terminal.type(world.user.password.slice(0, 4))
  // Somebody comes meanwhile, and a second goes by in which the view would be drawn.
  await once(
    connect(port, '127.0.0.1').on('error', () => {}),
    'close',
  ).catch(() => {})
  await new Promise(resolve => setTimeout(resolve, 1200))
  const screen = await terminal.screen()
  expect(screen).toMatch(/\? password for \S+ •{4}$/)
  expect(screen).not.toMatch(/(waiting|connecting) 00:/)
  await terminal.type(`${world.user.password.slice(4)}\r`)
  await terminal.waitFor(/up 00:0\d:\d\d +reconnects 1/)
  // What was held back meanwhile is said.
  await terminal.waitFor(/is not connected/)
  expect(await terminal.transcript()).not.toContain(world.user.password)
  await leave(terminal)
})

test('in a pipe there is none, and no escape', async () => {
  const held = await world.hold(['-L', '0:127.0.0.1:1', ...world.there])
  await held.waitFor(/protected as far as .*\n/)
  await new Promise(resolve => setTimeout(resolve, 1200))
  expect(held.stdout.text).not.toMatch(ESCAPE)
  expect(held.stdout.lines).toHaveLength(2)
  await held.stop()
})
