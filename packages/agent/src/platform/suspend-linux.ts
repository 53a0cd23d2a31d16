import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { KeytoolError } from '@keytool/keygen'
import { type Bus, connectBus, toBus } from './bus.js'
import type { BusMessage } from './bus-codec.js'
import type { Environment } from './places.js'
import type { SuspendOptions, SuspendWatch } from './suspend.js'

const SYSTEM_SOCKET = '/run/dbus/system_bus_socket'
const TIMEOUT = 5_000
const FIRST_RETRY = 1_000
const LAST_RETRY = 60_000

type Happening = 'suspend' | 'lock'

/** A signal that means something to us. */
interface Row {
  /** The bus name whose owner alone may send it. */
  readonly owner: string
  readonly interface: string
  readonly member: string
  readonly happening: Happening
  says(body: readonly unknown[]): boolean
  /** It is about a session of logind's, which may be another user's. */
  readonly ofSession?: true
}

const LOGIND = 'org.freedesktop.login1'
const SESSION = `${LOGIND}.Session`
const PROPERTIES = 'org.freedesktop.DBus.Properties'

/** org.freedesktop.login1(5). */
const systemRows: readonly Row[] = [
  {
    owner: LOGIND,
    interface: `${LOGIND}.Manager`,
    member: 'PrepareForSleep',
    happening: 'suspend',
    says: ([begins]) => begins === true,
  },
  // What `loginctl lock-session` asks the desktop for, and then what the desktop says it did.
  { owner: LOGIND, interface: SESSION, member: 'Lock', happening: 'lock', says: () => true, ofSession: true },
  {
    owner: LOGIND,
    interface: PROPERTIES,
    member: 'PropertiesChanged',
    happening: 'lock',
    says: ([name, changed]) => name === SESSION && isSet(changed, 'LockedHint'),
    ofSession: true,
  },
]

/** Many desktops say it only here. */
const sessionRows: readonly Row[] = [
  'org.freedesktop.ScreenSaver',
  'org.gnome.ScreenSaver',
  'org.cinnamon.ScreenSaver',
  'org.mate.ScreenSaver',
  'org.xfce.ScreenSaver',
].map(name => ({
  owner: name,
  interface: name,
  member: 'ActiveChanged',
  happening: 'lock',
  says: ([active]) => active === true,
}))

/** What logind says over the system bus, and screen savers over the session's. */
export async function watchOnLinux(options: SuspendOptions): Promise<SuspendWatch> {
  const { env = process.env, systemSocket = SYSTEM_SOCKET } = options
  const system = env['DBUS_SYSTEM_BUS_ADDRESS'] || addressIfThere(systemSocket)
  const session = env['DBUS_SESSION_BUS_ADDRESS'] || addressIfThere(runtimeBus(env))
  const watches: BusWatch[] = []
  if (system) watches.push(new BusWatch('system bus', system, systemRows, options, LOGIND))
  if (session) watches.push(new BusWatch('session bus', session, sessionRows, options))
  await Promise.all(watches.map(watch => watch.start()))
  return {
    get trouble() {
      const troubles = watches.flatMap(watch => watch.trouble ?? [])
      if (!system) troubles.unshift('there is no system bus: suspend is not noticed')
      return troubles.length > 0 ? troubles.join('; ') : undefined
    },
    close() {
      for (const watch of watches) watch.close()
    },
  }
}

function runtimeBus(env: Environment): string | undefined {
  const runtime = env['XDG_RUNTIME_DIR']
  return runtime ? join(runtime, 'bus') : undefined
}

function addressIfThere(path: string | undefined): string | undefined {
  if (path === undefined || !existsSync(path)) return undefined
  return `unix:path=${path.replace(/[^\w/.-]/gu, character => encodeURIComponent(character))}`
}

/** One bus, connected to again and again when it goes away. */
class BusWatch {
  readonly #name: string
  readonly #address: string
  readonly #rows: readonly Row[]
  readonly #options: SuspendOptions
  /** Whose absence is trouble. */
  readonly #needed: string | undefined
  /** The unique name behind each name. The bus tells those apart, whoever else claims to be one of them. */
  readonly #owners = new Map<string, string>()
  #bus: Bus | undefined
  #trouble: string | undefined
  #wait: number
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(name: string, address: string, rows: readonly Row[], options: SuspendOptions, needed?: string) {
    this.#name = name
    this.#address = address
    this.#rows = rows
    this.#options = options
    this.#needed = needed
    this.#wait = this.#firstWait
  }

  get trouble(): string | undefined {
    if (this.#trouble !== undefined) return this.#trouble
    if (this.#needed === undefined || this.#owners.has(this.#needed)) return undefined
    return `${this.#needed} is not on the ${this.#name}: suspend is not noticed`
  }

  get #firstWait(): number {
    return this.#options.retry ?? FIRST_RETRY
  }

  async start(): Promise<void> {
    try {
      const bus = await connectBus(this.#address, {
        timeout: this.#options.timeout ?? TIMEOUT,
        onSignal: signal => this.#hear(signal),
        onEnd: reason => this.#again(reason),
      })
      this.#bus = bus
      if (this.#closed) return bus.close()
      await this.#subscribe(bus)
      this.#wait = this.#firstWait
      this.#trouble = undefined
    } catch (error) {
      this.#bus?.close()
      this.#again(error)
    }
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#bus?.close()
  }

  async #subscribe(bus: Bus): Promise<void> {
    const names = [...new Set(this.#rows.map(({ owner }) => owner))]
    const ofOwners = names.map(name => `${FROM_BUS},member='NameOwnerChanged',arg0='${name}'`)
    const ofRows = this.#rows.map(
      row => `type='signal',sender='${row.owner}',interface='${row.interface}',member='${row.member}'`,
    )
    await Promise.all([...ofOwners, ...ofRows].map(match => bus.call(toBus('AddMatch', match))))
    // Asked after the matches: whoever comes meanwhile is told of, too.
    await Promise.all(
      names.map(async name => {
        const [owner] = await bus.call(toBus('GetNameOwner', name)).catch(unlessRefused)
        if (typeof owner === 'string') this.#owners.set(name, owner)
      }),
    )
  }

  #again(error: unknown): void {
    this.#bus = undefined
    this.#owners.clear()
    this.#trouble = `the ${this.#name} can't be heard: ${(error as KeytoolError).message}`
    if (this.#closed) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.start(), this.#wait).unref()
    this.#wait = Math.min(2 * this.#wait, LAST_RETRY)
  }

  #hear(signal: BusMessage): void {
    if (signal.sender === BUS) {
      if (signal.member === 'NameOwnerChanged') this.#noteOwner(signal.body)
      return
    }
    const row = this.#rows.find(
      ({ owner, interface: name, member }) =>
        name === signal.interface && member === signal.member && this.#owners.get(owner) === signal.sender,
    )
    if (!row?.says(signal.body)) return
    if (row.ofSession) void this.#tellIfOurs(row.happening, signal.path)
    else this.#tell(row.happening)
  }

  #noteOwner([name, , owner]: readonly unknown[]): void {
    if (typeof name !== 'string' || typeof owner !== 'string') return
    if (owner === '') this.#owners.delete(name)
    else this.#owners.set(name, owner)
  }

  /**
   * One agent serves all sessions of its user, whichever it was started in: the lock of any of them counts, and of others
   * none. When logind does not say whose it is, it may be ours.
   */
  async #tellIfOurs(happening: Happening, path = '/'): Promise<void> {
    const get = { destination: LOGIND, path, interface: PROPERTIES, member: 'Get', signature: 'ss' }
    const answer = await this.#bus?.call({ ...get, body: [SESSION, 'User'] }).catch(() => undefined)
    const uid = uidOf(answer)
    if (this.#closed || (uid !== undefined && uid !== process.getuid?.())) return
    this.#tell(happening)
  }

  #tell(happening: Happening): void {
    if (this.#closed) return
    try {
      if (happening === 'suspend') this.#options.onSuspend()
      else this.#options.onScreenLock()
    } catch (error) {
      // Whoever listens ends neither the agent nor what it will hear next.
      this.#trouble = `what the ${this.#name} said had no effect: ${(error as Error).message}`
    }
  }
}

const BUS = 'org.freedesktop.DBus'
const FROM_BUS = `type='signal',sender='${BUS}',interface='${BUS}'`

/** A name that nobody has is an error of the bus's. */
function unlessRefused(error: unknown): readonly unknown[] {
  if ((error as KeytoolError).code === 'refused') return []
  throw error
}

/** Whether a dictionary of variants says that this property is true. */
function isSet(changed: unknown, name: string): boolean {
  if (!Array.isArray(changed)) return false
  return changed.some(([key, variant]) => key === name && variant?.[1]?.[0] === true)
}

/** A property of the type `(uo)`: the user's number, and the path of the user's object. */
function uidOf(answer: readonly unknown[] | undefined): number | undefined {
  const [variant] = (answer ?? []) as [[unknown, [[unknown, unknown]]]?]
  const uid = variant?.[1]?.[0]?.[0]
  return typeof uid === 'number' ? uid : undefined
}
