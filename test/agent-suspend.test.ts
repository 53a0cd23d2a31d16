import { writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { jest } from '@jest/globals'
import { connectBus, toBus } from '../packages/agent/src/platform/bus.js'
import { type SuspendOptions, watchSuspend } from '../packages/agent/src/platform/suspend.js'
import { later, makeTemporary } from '../packages/agent/test/support.js'
import { peerPath } from './world/peers.js'
import { start } from './world/start.js'

// What logind and the screen savers tell over D-Bus, on a bus of the test's own.

jest.setTimeout(120_000)

/** The library's own side of a bus: what it sends does not pass through the code that is tested. */
interface Program {
  serial: number
  connection: {
    on(event: string, listener: (value: unknown) => void): void
    message(message: object): void
    stream: Socket
  }
  requestName(name: string, flags: number, callback: (error: unknown) => void): void
  releaseName(name: string, callback: (error: unknown) => void): void
  exportInterface(object: object, path: string, description: object): void
  sendSignal(path: string, name: string, member: string, signature?: string, body?: unknown[]): void
}
const library = createRequire(import.meta.url)('@homebridge/dbus-native') as {
  createClient(options: { busAddress: string }): Program
}

const LOGIND = 'org.freedesktop.login1'
const MANAGER = '/org/freedesktop/login1'
const OURS = '/org/freedesktop/login1/session/_31'
const THEIRS = '/org/freedesktop/login1/session/_32'
const uid = process.getuid?.() ?? 0

/** A bus of the test's own. */
async function startBus(path?: string) {
  const socket = path ?? join(await makeTemporary(), 'bus')
  const config = `${socket}.conf`
  await writeFile(
    config,
    `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
      "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
    <busconfig><type>session</type><listen>unix:path=${socket}</listen><auth>EXTERNAL</auth>
      <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
    </busconfig>`,
  )
  const daemon = await start(peerPath('dbus-daemon'), [`--config-file=${config}`, '--nofork', '--print-address'])
  const stop = async () => void (await daemon.stop('SIGKILL'))
  later(stop)
  const [, address = ''] = await daemon.waitFor(/^(unix:.*)\n/m)
  return { address, socket, stop }
}

function joinBus(address: string): Program {
  const program = library.createClient({ busAddress: address })
  program.connection.on('error', () => undefined)
  later(() => program.connection.stream.destroy())
  return program
}

/** A signal to one program alone. */
function tellOne(
  program: Program,
  destination: string,
  path: string,
  name: string,
  member: string,
  body: [string, unknown[]],
) {
  const message = { type: 4, serial: program.serial++, destination, path, interface: name, member }
  program.connection.message({ ...message, signature: body[0], body: body[1] })
}

const own = (program: Program, name: string) =>
  new Promise<void>((resolve, reject) => program.requestName(name, 0, error => (error ? reject(error) : resolve())))

/** Somebody who has logind's name, and knows of a session of ours and of another user's. */
async function startLogind(address: string): Promise<Program> {
  const logind = joinBus(address)
  const description = { name: `${LOGIND}.Session`, methods: {}, signals: {}, properties: { User: '(uo)' } }
  logind.exportInterface({ User: [uid, '/'] }, OURS, description)
  logind.exportInterface({ User: [uid + 1, '/'] }, THEIRS, description)
  await own(logind, LOGIND)
  return logind
}

async function watch(options: Partial<SuspendOptions>) {
  const heard: string[] = []
  const watching = await watchSuspend(
    {
      onSuspend: () => heard.push('suspend'),
      onScreenLock: () => heard.push('lock'),
      env: {},
      systemSocket: '/nowhere/bus',
      timeout: 10_000,
      retry: 20,
      ...options,
    },
    'linux',
  )
  later(() => watching.close())
  return { heard, watching }
}

const onSystem = (address: string) => watch({ env: { DBUS_SYSTEM_BUS_ADDRESS: address } })
const onSession = (address: string) => watch({ env: { DBUS_SESSION_BUS_ADDRESS: address } })

async function until(what: () => boolean): Promise<void> {
  const end = performance.now() + 15_000
  while (!what()) {
    if (performance.now() > end) throw new Error('it did not happen')
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

const sleeps = (program: Program, begins: boolean) =>
  program.sendSignal(MANAGER, `${LOGIND}.Manager`, 'PrepareForSleep', 'b', [begins])

describe('logind', () => {
  test('going to sleep is told, waking up is not', async () => {
    const { address } = await startBus()
    const logind = await startLogind(address)
    const { heard, watching } = await onSystem(address)
    expect(watching.trouble).toBeUndefined()
    sleeps(logind, false)
    sleeps(logind, true)
    await until(() => heard.length > 0)
    expect(heard).toEqual(['suspend'])
  })

  test("a lock of the user's session is told, of another user's not; one that nobody knows may be ours", async () => {
    const { address } = await startBus()
    const logind = await startLogind(address)
    const { heard } = await onSystem(address)
    logind.sendSignal(THEIRS, `${LOGIND}.Session`, 'Lock')
    logind.sendSignal(OURS, `${LOGIND}.Session`, 'Unlock')
    logind.sendSignal(OURS, `${LOGIND}.Session`, 'Lock')
    await until(() => heard.length > 0)
    expect(heard.splice(0)).toEqual(['lock'])
    logind.sendSignal(`${MANAGER}/session/gone`, `${LOGIND}.Session`, 'Lock')
    await until(() => heard.length > 0)
    expect(heard).toEqual(['lock'])
  })

  test('LockedHint that becomes true is told, other changes are not', async () => {
    const { address } = await startBus()
    const logind = await startLogind(address)
    const { heard } = await onSystem(address)
    const change = (path: string, of: string, ...changed: [string, [string, unknown]][]) =>
      logind.sendSignal(path, 'org.freedesktop.DBus.Properties', 'PropertiesChanged', 'sa{sv}as', [of, changed, []])
    change(OURS, `${LOGIND}.Session`, ['LockedHint', ['b', false]])
    change(OURS, `${LOGIND}.Session`, ['IdleHint', ['b', true]])
    change(OURS, `${LOGIND}.User`, ['LockedHint', ['b', true]])
    change(THEIRS, `${LOGIND}.Session`, ['LockedHint', ['b', true]])
    sleeps(logind, true)
    await until(() => heard.length > 0)
    expect(heard.splice(0)).toEqual(['suspend'])
    change(OURS, `${LOGIND}.Session`, ['IdleHint', ['b', true]], ['LockedHint', ['b', true]])
    await until(() => heard.length > 0)
    expect(heard).toEqual(['lock'])
  })

  test('what another program of the bus sends in its stead is not believed', async () => {
    const { address } = await startBus()
    const logind = await startLogind(address)
    const { heard } = await onSystem(address)
    const liar = joinBus(address)
    await own(liar, 'org.example.Liar')
    sleeps(liar, true)
    liar.sendSignal(OURS, `${LOGIND}.Session`, 'Lock')
    // To the watcher alone, which no match of its own keeps out.
    for (let number = 0; number < 8; number++) {
      tellOne(liar, `:1.${number}`, MANAGER, `${LOGIND}.Manager`, 'PrepareForSleep', ['b', [true]])
      tellOne(liar, `:1.${number}`, '/org/freedesktop/DBus', 'org.freedesktop.DBus', 'NameOwnerChanged', [
        'sss',
        [LOGIND, ':1.0', `:1.${number}`],
      ])
    }
    await own(liar, 'org.example.Through')
    sleeps(logind, true)
    await until(() => heard.length > 0)
    expect(heard).toEqual(['suspend'])
  })

  test('it comes later, goes, and is another then: only who has its name counts', async () => {
    const { address } = await startBus()
    const { heard, watching } = await onSystem(address)
    expect(watching.trouble).toContain('org.freedesktop.login1 is not on the system bus')
    const first = await startLogind(address)
    await until(() => watching.trouble === undefined)
    sleeps(first, true)
    await until(() => heard.length > 0)
    await new Promise(resolve => first.releaseName(LOGIND, resolve))
    const second = await startLogind(address)
    sleeps(first, true)
    await own(first, 'org.example.Through')
    sleeps(second, true)
    sleeps(second, true)
    await until(() => heard.length >= 3)
    expect(heard).toEqual(['suspend', 'suspend', 'suspend'])
  })

  test('the bus goes away and comes back: heard again, and trouble meanwhile', async () => {
    const { address, socket, stop } = await startBus()
    await startLogind(address)
    const { heard, watching } = await onSystem(address)
    expect(watching.trouble).toBeUndefined()
    await stop()
    await until(() => watching.trouble !== undefined)
    expect(watching.trouble).toContain("the system bus can't be heard")
    const again = await startBus(socket)
    const logind = await startLogind(again.address)
    await until(() => watching.trouble === undefined)
    sleeps(logind, true)
    await until(() => heard.length > 0)
    expect(heard).toEqual(['suspend'])
  })

  test('nothing is told after it was closed, and a listener that throws is trouble, no more', async () => {
    const { address } = await startBus()
    const logind = await startLogind(address)
    const { heard, watching } = await onSystem(address)
    const throwing = await watch({
      env: { DBUS_SYSTEM_BUS_ADDRESS: address },
      onSuspend: () => {
        throw new Error('no effect')
      },
    })
    watching.close()
    sleeps(logind, true)
    await until(() => throwing.watching.trouble !== undefined)
    expect(throwing.watching.trouble).toContain('no effect')
    logind.sendSignal(OURS, `${LOGIND}.Session`, 'Lock')
    await until(() => throwing.heard.length > 0)
    expect(heard).toEqual([])
  })
})

describe('screen savers', () => {
  test.each([['org.freedesktop.ScreenSaver'], ['org.gnome.ScreenSaver']])('%s', async name => {
    const { address } = await startBus()
    const saver = joinBus(address)
    await own(saver, name)
    const { heard, watching } = await onSession(address)
    expect(watching.trouble).toBe('there is no system bus: suspend is not noticed')
    const liar = joinBus(address)
    liar.sendSignal('/ScreenSaver', name, 'ActiveChanged', 'b', [true])
    await own(liar, 'org.example.Through')
    saver.sendSignal('/ScreenSaver', name, 'ActiveChanged', 'b', [false])
    saver.sendSignal('/ScreenSaver', name, 'ActiveChanged', 'b', [true])
    await until(() => heard.length > 0)
    expect(heard).toEqual(['lock'])
  })

  test("without an address in the environment, the bus in the user's runtime folder", async () => {
    const folder = await makeTemporary()
    const { address } = await startBus(join(folder, 'bus'))
    const saver = joinBus(address)
    await own(saver, 'org.gnome.ScreenSaver')
    const { heard } = await watch({ env: { XDG_RUNTIME_DIR: folder } })
    saver.sendSignal('/', 'org.gnome.ScreenSaver', 'ActiveChanged', 'b', [true])
    await until(() => heard.length > 0)
    expect(heard).toEqual(['lock'])
  })
})

test('of several addresses the first that answers; a large message is passed over', async () => {
  const { address } = await startBus()
  const members: unknown[] = []
  const bus = await connectBus(`unix:path=/nowhere/bus;tcp:host=x;${address}`, {
    timeout: 10_000,
    onSignal: signal => members.push(signal.member),
    onEnd: () => members.push('end'),
  })
  later(() => bus.close())
  await bus.call(toBus('AddMatch', "type='signal',interface='org.example.Sizes'"))
  const sender = joinBus(address)
  sender.sendSignal('/', 'org.example.Sizes', 'Large', 's', ['x'.repeat(1_000_000)])
  sender.sendSignal('/', 'org.example.Sizes', 'Small', 's', ['x'])
  await until(() => members.includes('Small'))
  expect(members.filter(member => member !== 'NameAcquired')).toEqual(['Small'])
  await expect(bus.call(toBus('GetNameOwner', 'org.example.Nobody'))).rejects.toMatchObject({ code: 'refused' })
  bus.close()
  await expect(bus.call(toBus('ListNames'))).rejects.toMatchObject({ code: 'unreachable' })
})
