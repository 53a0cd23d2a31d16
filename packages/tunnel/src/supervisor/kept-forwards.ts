import type { Connection } from '../connection/connection.js'
import type { Forward, Guest } from '../forwards/forward.js'
import { openForward } from '../forwards/open.js'
import { type ForwardSpec, formatListen } from '../forwards/spec.js'
import type { Clock } from './clock.js'
import type { ForwardRef, TellEvent } from './events.js'
import { type ForwardStatus, KeptForward } from './kept-forward.js'
import { toError } from './to-error.js'
import { Troubles } from './troubles.js'
import type { TunnelOptions } from './tunnel.js'

const PROBE_INTERVAL = 60_000

export interface KeptForwardsOptions {
  readonly options: TunnelOptions
  readonly clock: Clock
  readonly tell: TellEvent
  /** Where a new connection of a forward asks for the tunnel's. */
  readonly enter: (forward: ForwardRef, guest?: Guest) => Promise<Connection>
}

/** All forwards of one tunnel. */
export class KeptForwards {
  readonly #ends: KeptForwardsOptions
  readonly #kept: KeptForward[] = []
  readonly #troubles: Troubles[] = []
  #opening: Promise<void> = Promise.resolve()
  #closed = false

  constructor(ends: KeptForwardsOptions) {
    this.#ends = ends
  }

  get all(): readonly Forward[] {
    return this.#kept.map(({ forward }) => forward)
  }

  /** Opens them one after the other. @throws KeytoolError what the first one threw that could not be opened */
  open(specs: readonly ForwardSpec[]): Promise<void> {
    const openAll = async () => {
      for (const spec of specs) if (!this.#closed) this.#kept.push(await this.#open(spec))
    }
    this.#opening = openAll()
    return this.#opening
  }

  /**
   * Asks for them all on a new connection.
   * @throws KeytoolError `refused` for a required one; `unreachable` when the connection is lost meanwhile
   */
  async attach(connection: Connection, required: boolean): Promise<void> {
    await Promise.all(this.#kept.map(kept => kept.attach(connection, required)))
  }

  /** The tunnel is up. */
  begin(): void {
    for (const kept of this.#kept) kept.begin()
  }

  /** The connection is lost. */
  detach(): void {
    for (const kept of this.#kept) kept.detach()
  }

  status(): ForwardStatus[] {
    return this.#kept.map(kept => kept.status())
  }

  /** Closes them, and those that are being opened. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#opening.catch(() => {})
    const ends = await Promise.allSettled(this.#kept.map(kept => kept.close()))
    for (const troubles of this.#troubles) troubles.end()
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }

  async #open(spec: ForwardSpec): Promise<KeptForward> {
    const { options, clock, tell, enter } = this.#ends
    let kept: KeptForward | undefined
    // A remote forward's port may be chosen later.
    const ref = (): ForwardRef => ({ spec, place: kept?.forward.place ?? formatListen(spec) })
    const troubles = new Troubles(clock, trouble => tell({ kind: 'trouble', forward: ref(), ...trouble }))
    this.#troubles.push(troubles)
    const forward = await (options.openForward ?? openForward)(spec, {
      link: { connection: guest => enter(ref(), guest) },
      ...(options.limits && { limits: options.limits }),
      onTrouble: error => {
        if (this.#closed) return
        troubles.note(toError(error))
        kept?.suspect()
      },
      onLeftover: error => tell({ kind: 'leftover', forward: ref(), error }),
    })
    kept = new KeptForward(forward, {
      clock,
      tell,
      onCarries: carrying => options.onForward?.(carrying),
      probeInterval: options.probeInterval ?? PROBE_INTERVAL,
      probeKind: options.probe?.(spec),
    })
    return kept
  }
}
