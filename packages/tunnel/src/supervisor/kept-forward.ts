import { setImmediate } from 'node:timers/promises'
import type { KeytoolError } from '@keytool/keygen'
import type { Connection } from '../connection/connection.js'
import type { Forward } from '../forwards/forward.js'
import { formatTarget } from '../forwards/spec.js'
import { type ProbeKind, probeKindFor } from '../probe/kinds.js'
import { probe } from '../probe/probe.js'
import type { Clock } from './clock.js'
import type { ForwardState, TellEvent } from './events.js'
import { explainError, toError } from './to-error.js'

/** How soon the server is asked again to listen, in milliseconds; twice as long each time. The session before may still hold the port. */
const FIRST_ASK = 1_000
const LAST_ASK = 30_000
/** A dead target is looked at more often, and one that just failed somebody is looked at, but not more often than this. */
const SOON = 10_000

export interface KeptForwardOptions {
  readonly clock: Clock
  readonly tell: TellEvent
  /** Told when it carries for the first time. */
  readonly onCarries: (forward: Forward) => void
  /** Between two looks at the target, in milliseconds; 0 for none. */
  readonly probeInterval: number
  /** What is spoken there; absent: what its port says. */
  readonly probeKind: ProbeKind | undefined
}

/** One forward in `tunnel status --json`. */
export interface ForwardStatus {
  readonly kind: Forward['spec']['kind']
  readonly listen: string
  readonly to: string
  readonly state: ForwardState
  readonly connections: number
  readonly open: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly lastError: string | null
}

/** One forward over many connections: asked for on each, and looked at while it stands. */
export class KeptForward {
  readonly forward: Forward
  readonly #options: KeptForwardOptions
  #state: ForwardState = 'unknown'
  #error: string | undefined
  #hasCarried = false
  /** Of the connection that stands; ends what goes on over it. */
  #attached: AbortController | undefined
  #connection: Connection | undefined
  #callOff: () => void = () => {}
  #asks = 0
  #lookedAt = Number.NEGATIVE_INFINITY
  #looking = false

  constructor(forward: Forward, options: KeptForwardOptions) {
    this.forward = forward
    this.#options = options
  }

  get state(): ForwardState {
    return this.#state
  }

  /**
   * Asks for it on a new connection.
   * @param required whether a server that refuses is an error; else it counts as dead and is asked again
   * @throws KeytoolError `refused`, when required
   */
  async attach(connection: Connection, required: boolean): Promise<void> {
    this.detach()
    this.#connection = connection
    this.#attached = new AbortController()
    this.#asks = 0
    await this.#ask(required)
  }

  /** The connection is lost. */
  detach(): void {
    this.#callOff()
    this.#attached?.abort()
    this.#attached = undefined
    this.#connection = undefined
    this.#looking = false
    this.#state = 'unknown'
  }

  /** The tunnel is up: whoever waits is told, and the target is looked at. */
  begin(): void {
    if (this.#asks > 0) return
    if (!this.#hasCarried) this.#options.onCarries(this.forward)
    this.#hasCarried = true
    if (this.forward.spec.kind !== 'local') this.#become('up')
    else if (this.#options.probeInterval > 0) this.#look()
  }

  /** Somebody's connection could not be carried: perhaps the target is dead. */
  suspect(): void {
    if (!this.#attached || this.forward.spec.kind !== 'local' || this.#options.probeInterval === 0) return
    if (this.#options.clock.now() - this.#lookedAt >= SOON) this.#look()
  }

  status(): ForwardStatus {
    const { spec, place, counters } = this.forward
    const { connections, open, bytesIn, bytesOut, lastError } = counters
    return {
      kind: spec.kind,
      listen: place,
      to: formatTarget(spec),
      state: this.#state,
      connections,
      open,
      bytesIn,
      bytesOut,
      lastError: this.#error ?? lastError ?? null,
    }
  }

  async close(): Promise<void> {
    this.detach()
    await this.forward.close()
  }

  async #ask(required: boolean): Promise<void> {
    const [connection, attached] = [this.#connection, this.#attached]
    if (!connection || !attached) return
    try {
      await this.forward.attach(connection)
      if (!attached.signal.aborted) this.#asks = 0
    } catch (error) {
      if (required) throw error
      await this.#failed(error, attached, this.#askAgain)
    }
  }

  readonly #askAgain = (): void => {
    const { clock } = this.#options
    this.#callOff = clock.after(Math.min(FIRST_ASK * 2 ** this.#asks++, LAST_ASK), () => {
      const attached = this.#attached
      this.#ask(false).then(() => {
        if (attached && !attached.signal.aborted) this.begin()
      })
    })
  }

  /** Looks at the target now, and again later. */
  #look(): void {
    const [connection, attached] = [this.#connection, this.#attached]
    if (this.#looking || !connection || !attached) return
    this.#callOff()
    this.#looking = true
    this.#lookedAt = this.#options.clock.now()
    this.#probe(connection, attached.signal).then(
      banner => {
        if (!attached.signal.aborted) this.#looked('up', banner)
      },
      error => this.#failed(error, attached, () => this.#looked('dead')),
    )
  }

  #looked(state: ForwardState, banner?: string): void {
    this.#looking = false
    if (state === 'up') this.#become('up', banner === undefined ? {} : { banner })
    const { clock, probeInterval } = this.#options
    this.#callOff = clock.after(state === 'dead' ? Math.min(SOON, probeInterval) : probeInterval, () => this.#look())
  }

  #probe(connection: Connection, signal: AbortSignal): Promise<string | undefined> {
    const { spec } = this.forward
    const { clock, probeKind } = this.#options
    const to = spec.kind === 'local' ? spec.to : { path: '' }
    if ('path' in to) {
      return probe({ kind: probeKind ?? 'tcp', open: () => connection.openDirectUnix(to.path), clock, signal })
    }
    const { host, port } = to
    // Nobody connected: the server's log shows it as coming from nowhere.
    const open = () => connection.openDirect(host, port, { host: '127.0.0.1', port: 0 })
    return probe({ kind: probeKind ?? probeKindFor(port), open, host, clock, signal })
  }

  /** Notes it as dead, unless it is the connection that died: that is told a moment later. */
  async #failed(error: unknown, attached: AbortController, then: () => void): Promise<void> {
    await setImmediate()
    if (attached.signal.aborted) return
    this.#become('dead', {
      error: toError(error),
    })
    then()
  }

  #become(state: ForwardState, why: { banner?: string; error?: KeytoolError } = {}): void {
    const { spec, place } = this.forward
    this.#error = why.error && explainError(why.error)
    if (state === this.#state) return
    this.#state = state
    this.#options.tell({ kind: 'forward', forward: { spec, place }, state, ...why })
  }
}
