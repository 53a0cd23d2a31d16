import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { type Bus, type BusCall, connectBus, toBus } from '../../packages/agent/src/platform/bus.js'
import type { Environment, Home } from './home.js'
import { peerPath } from './peers.js'
import { run, runOrThrow } from './run.js'
import { type Running, start } from './start.js'

/** A session bus of a home's own, at `run/bus`. */
export interface SessionBus {
  /** The home's environment with DBUS_SESSION_BUS_ADDRESS. */
  readonly env: Environment
  readonly pid: number
  stop(): Promise<void>
}

/** A session bus with GNOME's keyring on it. Its files lie in the home, and outlive the daemon. */
export interface Keyring {
  readonly env: Environment
  readonly bus: SessionBus
  /** The daemon's. */
  readonly pid: number
  /** Locks the login keyring, as the desktop does. */
  lock(): Promise<void>
  /** Unlocks it, as logging in does. Rejects when the password is wrong. */
  unlock(password?: string): Promise<void>
  /** What lies there for a key, as another program sees it; `undefined` where nothing does. */
  read(account: string): Promise<string | undefined>
  /** Puts something there, as another program. */
  write(account: string, secret: string): Promise<void>
  /** To the daemon alone: SIGKILL, SIGSTOP, SIGCONT. */
  signal(signal: NodeJS.Signals): void
  /** Ends daemon and bus. */
  stop(): Promise<void>
}

export interface KeyringOptions {
  /** Of the login keyring, which is made with it where there is none. Default `login`; `null`: the daemon is not told any. */
  readonly password?: string | null
  /** Default: one of its own, which ends with it. */
  readonly bus?: SessionBus
}

const SERVICE = 'org.freedesktop.secrets'
const ROOT = '/org/freedesktop/secrets'
const LOGIN = `${ROOT}/collection/login`
const READY_MS = 20_000

/** Starts a bus that starts nothing by itself: there is on it what a test puts there. */
export async function startSessionBus(home: Home): Promise<SessionBus> {
  const [socket, config] = [join(home.runtime, 'bus'), join(home.path, 'bus.conf')]
  await writeFile(
    config,
    `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
      "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
    <busconfig><type>session</type><listen>unix:path=${socket}</listen><auth>EXTERNAL</auth>
      <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
    </busconfig>`,
  )
  const daemon = await start(peerPath('dbus-daemon'), [`--config-file=${config}`, '--nofork', '--print-address'])
  await daemon.waitFor(/^unix:.*\n/m)
  return {
    env: { ...home.env, DBUS_SESSION_BUS_ADDRESS: `unix:path=${socket}` },
    pid: daemon.pid,
    async stop() {
      await daemon.stop('SIGKILL')
    },
  }
}

/** Starts GNOME's keyring, and waits until it answers. */
export async function startKeyring(home: Home, options: KeyringOptions = {}): Promise<Keyring> {
  const { password = 'login' } = options
  const bus = options.bus ?? (await startSessionBus(home))
  const { env } = bus
  let daemon: Running | undefined
  const stop = async () => {
    await daemon?.stop('SIGKILL')
    if (bus !== options.bus) await bus.stop()
  }
  try {
    const unlock = password === null ? [] : ['--unlock']
    daemon = await start(peerPath('gnome-keyring'), ['--foreground', '--components=secrets', ...unlock], { env })
    if (password !== null) daemon.write(password)
    daemon.endInput()
    await waitForService(env, password !== null)
  } catch (error) {
    await stop()
    throw new Error(`gnome-keyring did not start\n${daemon?.stderr.text}`, { cause: error })
  }
  const { pid } = daemon
  return {
    env,
    bus,
    pid,
    lock: () => onBus(env, async link => void (await link.call(toService('Lock', 'ao', [[LOGIN]])))),
    unlock: (given = password ?? 'login') => onBus(env, link => unlockLogin(link, given)),
    async read(account) {
      const { status, stdout } = await run(TOOL, ['lookup', ...attributes(account)], { env })
      return status === 0 ? stdout : undefined
    },
    async write(account, secret) {
      await runOrThrow(TOOL, ['store', '--label=keytool', ...attributes(account)], { env, input: secret })
    },
    signal: signal => void process.kill(pid, signal),
    stop,
  }
}

const TOOL = peerPath('secret-tool')

/** As libsecret stores an entry for others: without the schema's name they may or may not find it. */
const SCHEMA = ['xdg:schema', 'org.freedesktop.Secret.Generic']

const attributes = (account: string) => ['service', 'keytool', 'account', account, ...SCHEMA]

async function onBus<T>(env: Environment, work: (bus: Bus) => Promise<T>): Promise<T> {
  const address = env['DBUS_SESSION_BUS_ADDRESS'] ?? ''
  const bus = await connectBus(address, { timeout: 10_000, onSignal() {}, onEnd() {} })
  try {
    return await work(bus)
  } finally {
    bus.close()
  }
}

function toService(member: string, signature: string, body: readonly unknown[]): BusCall {
  return { destination: SERVICE, path: ROOT, interface: 'org.freedesktop.Secret.Service', member, signature, body }
}

/** @param unlocked whether it is ready with its login keyring open only */
async function waitForService(env: Environment, unlocked: boolean): Promise<void> {
  const end = performance.now() + READY_MS
  for (;;) {
    const isReady = await onBus(env, async bus => {
      const [owned] = await bus.call(toBus('NameHasOwner', SERVICE))
      return owned === true && (!unlocked || (await isUnlocked(bus)))
    })
    if (isReady) return
    if (performance.now() > end) throw new Error(`${SERVICE} does not answer`)
    await setTimeout(20)
  }
}

async function isUnlocked(bus: Bus): Promise<boolean> {
  const [collection] = await bus.call(toService('ReadAlias', 's', ['default']))
  if (collection !== LOGIN) return false
  const [locked] = await bus.call({
    destination: SERVICE,
    path: LOGIN,
    interface: 'org.freedesktop.DBus.Properties',
    member: 'Get',
    signature: 'ss',
    body: ['org.freedesktop.Secret.Collection', 'Locked'],
  })
  const [, [value]] = locked as [unknown, [boolean]]
  return !value
}

/** As PAM does at a login: the keyring's own call for it. */
async function unlockLogin(bus: Bus, password: string): Promise<void> {
  const [, session] = await bus.call(toService('OpenSession', 'sv', ['plain', ['s', '']]))
  await bus.call({
    destination: SERVICE,
    path: ROOT,
    interface: 'org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface',
    member: 'UnlockWithMasterPassword',
    signature: 'o(oayays)',
    body: [LOGIN, [session, Buffer.alloc(0), Buffer.from(password), 'text/plain']],
  })
}
