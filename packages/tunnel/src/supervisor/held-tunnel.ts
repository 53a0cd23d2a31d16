import { KeytoolError } from '@keytool/keygen'
import type { Connection } from '../connection/connection.js'
import type { Forward, Guest } from '../forwards/forward.js'
import { type NetworkEvent, watchNetwork } from '../platform/network-watch.js'
import { Backoff } from './backoff.js'
import { type Clock, systemClock } from './clock.js'
import type { ForwardRef, TellEvent } from './events.js'
import { remedyFor } from './healing.js'
import { KeptForwards } from './kept-forwards.js'
import { StateMachine, type TunnelState } from './states.js'
import { explainError, toError } from './to-error.js'
import type { Attempt, Tunnel, TunnelOptions, TunnelStatus } from './tunnel.js'
import { WaitingRoom } from './waiting-room.js'

/** How long a server may take for a sign of life after the network changed, in milliseconds. */
const PING_TIME = 4_000
/** How long TCP may take while the server is expected back any moment, in milliseconds. */
const DIAL_TIME = 2_000
const HOLD_TIME = 30_000
const HOLD_MAX = 64

/** One tunnel from its start to its end. Every move between its states is in here. */
export class HeldTunnel implements Tunnel {
  readonly up: Promise<void>
  readonly done: Promise<KeytoolError | undefined>
  readonly #options: TunnelOptions
  readonly #clock: Clock
  readonly #machine: StateMachine
  readonly #backoff: Backoff
  readonly #room: WaitingRoom
  readonly #abort = new AbortController()
  readonly #kept: KeptForwards
  /** Connections that are being closed. */
  readonly #leaving = new Set<Promise<void>>()
  /** The one that carries; and the one that is to, while the forwards are asked for. */
  #connection: Connection | undefined
  #coming: Connection | undefined
  #wasUp = false
  #reconnects = 0
  #lastError: KeytoolError | undefined
  /** What is done when the wait is over, and what calls that off. */
  #next: () => void = () => {}
  #callOff: () => void = () => {}
  #stopWatch: () => void = () => {}
  /** Something changed while a try was under way: if it fails, the next one comes at once. */
  #hastened = false
  /** There was a key to log in with, and it did not do: looking for one is no help. */
  #keyDidNotDo = false
  #checking = false
  /** How many have waited at once since it went down: one who comes and goes again and again is told of once. */
  #mostHeld = 0
  #ending: Promise<void> | undefined
  #cameUp: () => void = () => {}
  #neverUp: (error: KeytoolError) => void = () => {}
  #finish: (error?: KeytoolError) => void = () => {}

  constructor(options: TunnelOptions) {
    const { target, whileDown = 'hold', holdTime = HOLD_TIME, holdMax = HOLD_MAX, clock = systemClock } = options
    this.#options = options
    this.#clock = clock
    this.#machine = new StateMachine(
      () => clock.now(),
      (state, from) => {
        this.#tell({ kind: 'state', from, state })
        options.onState?.(state)
      },
    )
    this.#backoff = new Backoff(clock.now(), options.random ?? Math.random)
    this.#room = new WaitingRoom({ target, whileDown, holdTime, holdMax, clock })
    this.#kept = new KeptForwards({
      options,
      clock,
      tell: this.#tell,
      enter: (forward, guest) => this.#enter(forward, guest),
    })
    this.done = new Promise(resolve => {
      this.#finish = resolve
    })
    this.up = new Promise((resolve, reject) => {
      this.#cameUp = resolve
      this.#neverUp = reject
    })
    // Whoever waits for `done` only is told there.
    this.up.catch(() => {})
  }

  get state(): TunnelState {
    return this.#machine.state
  }

  get forwards(): readonly Forward[] {
    return this.#kept.all
  }

  status(): TunnelStatus {
    const { state } = this
    const error =
      state.name === 'waiting' || state.name === 'stopped' ? (state.error ?? this.#lastError) : this.#lastError
    return {
      state: state.name,
      since: showTime(state.since),
      until: state.name === 'waiting' && state.until !== undefined ? showTime(state.until) : null,
      reconnects: this.#reconnects,
      lastError: error ? explainError(error) : null,
      forwards: this.#kept.status(),
    }
  }

  async start(): Promise<void> {
    try {
      const { forwards } = this.#options
      if (forwards.length === 0) throw new KeytoolError('usage', 'a tunnel needs at least one forward')
      await this.#kept.open(forwards)
      if (this.#ending) return
      this.#stopWatch = (this.#options.watch ?? watchNetwork)(why => this.#rouse(why))
      await this.#connect()
    } catch (error) {
      await this.#end(toError(error))
    }
  }

  stop(): Promise<void> {
    return this.#end()
  }

  #enter(forward: ForwardRef, guest?: Guest): Promise<Connection> {
    const entered = this.#room.take(guest)
    if (this.#room.size > this.#mostHeld) {
      this.#mostHeld = this.#room.size
      this.#tell({ kind: 'held', forward, waiting: this.#mostHeld })
    }
    return entered
  }

  async #connect(): Promise<void> {
    if (this.#ending) return
    const started = this.#clock.now()
    this.#hastened = false
    this.#machine.moveTo({ name: 'connecting' })
    try {
      if (this.#ending) return
      const connection = await this.#options.connect(this.#abort.signal, this.#describeAttempt(started))
      if (this.#ending) return this.#leave(connection)
      await this.#attach(connection)
    } catch (error) {
      if (!this.#ending) this.#failed(toError(error), this.#clock.now() - started)
    }
  }

  #describeAttempt(now: number): Attempt {
    const isExpected = this.#wasUp && this.#backoff.isEarly(now)
    return { again: this.#wasUp, ...(isExpected && { dialTime: DIAL_TIME }) }
  }

  /** The forwards first: only when they are all there the tunnel is up. */
  async #attach(connection: Connection): Promise<void> {
    const required = !this.#wasUp && (this.#options.required ?? true)
    const lost = connection.closed.then(error => {
      throw error ?? new KeytoolError('unreachable', `the connection to ${this.#options.target} was closed`)
    })
    this.#coming = connection
    try {
      await Promise.race([this.#kept.attach(connection, required), lost])
    } catch (error) {
      this.#kept.detach()
      this.#leave(connection)
      throw error
    } finally {
      this.#coming = undefined
    }
    lost.catch(error => this.#lost(connection, error))
    if (this.#ending) return this.#leave(connection)
    if (this.#wasUp) this.#reconnects++
    this.#wasUp = true
    this.#keyDidNotDo = false
    this.#connection = connection
    this.#machine.moveTo({ name: 'up' })
    if (this.#ending) return
    this.#room.open(connection)
    this.#mostHeld = 0
    this.#cameUp()
    this.#kept.begin()
  }

  #failed(error: KeytoolError, spent: number): void {
    const mayRetry = this.#wasUp || (this.#options.wait ?? false)
    const remedy = mayRetry ? remedyFor(error, this.#wasUp) : 'stop'
    if (remedy === 'stop') void this.#end(error)
    else if (remedy === 'key') this.#waitForKey(error)
    else if (this.#hastened) this.#wait(error, 0)
    else if (remedy === 'rarely') this.#wait(error, this.#backoff.afterMismatch())
    else this.#wait(error, this.#backoff.afterFailure(this.#clock.now(), spent))
  }

  #lost(connection: Connection, cause: KeytoolError): void {
    if (connection !== this.#connection || this.#ending) return
    const now = this.#clock.now()
    const upFor = now - this.#machine.state.since
    this.#connection = undefined
    this.#room.shut()
    this.#kept.detach()
    if (remedyFor(cause, true) === 'stop') return void this.#end(cause)
    const message = `the connection to ${this.#options.target} is lost`
    this.#wait(
      new KeytoolError('unreachable', message, { reason: explainError(cause), cause }),
      this.#backoff.afterLoss(now, upFor),
    )
  }

  #wait(error: KeytoolError, delay: number): void {
    this.#lastError = error
    this.#machine.moveTo({ name: 'waiting', until: this.#clock.now() + delay, error })
    this.#schedule(delay, () => this.#connect())
  }

  #waitForKey(error: KeytoolError): void {
    const { ready } = this.#options
    this.#lastError = error
    this.#machine.moveTo({ name: 'waiting', error })
    const canLook = ready !== undefined && !this.#keyDidNotDo
    this.#schedule(this.#backoff.forKey(canLook), () => this.#lookForKey())
  }

  async #lookForKey(): Promise<void> {
    const { ready } = this.#options
    const waiting = this.#machine.state
    const isThere = ready ? await ready().catch(() => false) : true
    // Stopped meanwhile, or roused twice.
    if (this.#machine.state !== waiting || this.#ending) return
    this.#keyDidNotDo = isThere && ready !== undefined
    if (isThere) await this.#connect()
    else this.#schedule(this.#backoff.forKey(true), () => this.#lookForKey())
  }

  #schedule(delay: number, next: () => void): void {
    this.#callOff()
    if (this.#ending) return
    this.#next = next
    this.#callOff = this.#clock.after(delay, next)
  }

  /** Something happened to the machine: whatever is waited for, or believed, is looked at now. */
  #rouse(why: NetworkEvent): void {
    if (this.#ending) return
    this.#tell({ kind: 'roused', why })
    this.#backoff.hasten(this.#clock.now())
    this.#hastened = true
    if (this.#machine.state.name === 'waiting') {
      this.#callOff()
      this.#next()
    } else if (this.#connection && !this.#checking) {
      this.#check(this.#connection)
    }
  }

  #check(connection: Connection): void {
    this.#checking = true
    connection
      .ping(PING_TIME)
      .catch(error => {
        if (connection !== this.#connection) return
        this.#lost(connection, toError(error))
        this.#leave(connection)
      })
      .finally(() => {
        this.#checking = false
      })
  }

  #leave(connection: Connection): void {
    const left = connection
      .close()
      .catch(() => {})
      .finally(() => this.#leaving.delete(left))
    this.#leaving.add(left)
  }

  #end(error?: KeytoolError): Promise<void> {
    this.#ending ??= this.#takeDown(error)
    return this.#ending
  }

  /** Whatever goes wrong in one step, the others are gone, and whoever waits for the end hears of it. */
  async #takeDown(error: KeytoolError | undefined): Promise<void> {
    const end = error ?? new KeytoolError('cancelled', `the tunnel to ${this.#options.target} was stopped`)
    const closing: Promise<void>[] = []
    const note = (cause: unknown) => {
      this.#lastError = toError(cause)
    }
    const steps: readonly (() => void)[] = [
      () => this.#abort.abort(),
      () => this.#callOff(),
      () => this.#stopWatch(),
      () => this.#room.close(end),
      () => closing.push(this.#kept.close().catch(note)),
      // A server that is asked to stop listening may be silent: the goodbye ends that, too.
      () => this.#connection && this.#leave(this.#connection),
      () => this.#coming && this.#leave(this.#coming),
    ]
    for (const step of steps) attempt(step, note)
    this.#connection = undefined
    await Promise.all(closing)
    await Promise.all(this.#leaving)
    if (error) this.#lastError = error
    attempt(() => this.#machine.moveTo({ name: 'stopped', ...(error && { error }) }), note)
    this.#neverUp(end)
    this.#finish(error)
  }

  readonly #tell: TellEvent = event => this.#options.onEvent?.({ ...event, at: this.#clock.now() })
}

function attempt(step: () => void, note: (cause: unknown) => void): void {
  try {
    step()
  } catch (cause) {
    note(cause)
  }
}

function showTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}
