import type { Duplex } from 'node:stream'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Connection, Origin } from '../connection/connection.js'
import { type LocalForward, listenLocal, type OpenTarget } from '../forwards/local.js'
import { noteError } from '../forwards/pump.js'
import type { LocalForwardSpec } from '../forwards/spec.js'
import { StateMachine, type TunnelState } from './states.js'

export interface TunnelOptions {
  /** The server as it may be shown, for texts. */
  readonly target: string
  /** At least one. */
  readonly forwards: readonly LocalForwardSpec[]
  /** Dials and logs in. Called when all forwards listen; its signal says that the tunnel was stopped meanwhile. */
  readonly connect: (signal: AbortSignal) => Promise<Connection>
  /** Told of each change, in order. */
  readonly onState?: (state: TunnelState) => void
  /** Told once for each forward when it carries, with the port the system chose. */
  readonly onForward?: (forward: LocalForward) => void
  /** Told when a connection could not be carried, each time. The forward goes on. */
  readonly onTrouble?: (forward: LocalForwardSpec, error: unknown) => void
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

export interface Tunnel {
  readonly state: TunnelState
  /** Empty until they listen. */
  readonly forwards: readonly LocalForward[]
  /** Settles when everything carries. Once nothing is left, rejects with the KeytoolError that kept it from that. */
  readonly up: Promise<void>
  /** Settles when the tunnel has stopped: `undefined` when it was asked to. Never rejects. */
  readonly done: Promise<KeytoolError | undefined>
  /** Closes listeners and connection; resolves when nothing is left. May be called in every state, and again. */
  stop(): Promise<void>
}

/**
 * Holds forwards up over one connection. Listeners come first, so that a port in use is said before anything is dialled.
 * When the connection is lost, all that it carried is reset and the tunnel stops with the error.
 */
export function holdTunnel(options: TunnelOptions): Tunnel {
  const tunnel = new HeldTunnel(options)
  tunnel.start()
  return tunnel
}

class HeldTunnel implements Tunnel {
  readonly up: Promise<void>
  readonly done: Promise<KeytoolError | undefined>
  readonly #options: TunnelOptions
  readonly #machine: StateMachine
  readonly #abort = new AbortController()
  readonly #forwards: LocalForward[] = []
  readonly #connection: Promise<Connection>
  #gotConnection: (connection: Connection) => void = () => {}
  #noConnection: (error: KeytoolError) => void = () => {}
  #finish: (error?: KeytoolError) => void = () => {}
  #ending: Promise<void> | undefined

  constructor(options: TunnelOptions) {
    this.#options = options
    this.#machine = new StateMachine(options.now ?? Date.now, state => options.onState?.(state))
    this.done = new Promise(resolve => {
      this.#finish = resolve
    })
    this.#connection = new Promise((resolve, reject) => {
      this.#gotConnection = resolve
      this.#noConnection = reject
    })
    this.up = this.#connection.then(
      () => {},
      async error => {
        await this.done
        throw error
      },
    )
    // Whoever waits for `done` only is told there.
    this.up.catch(() => {})
  }

  get state(): TunnelState {
    return this.#machine.state
  }

  get forwards(): readonly LocalForward[] {
    return this.#forwards
  }

  /** The one way from idle to up; every failure on it leads to {@link HeldTunnel.#end}. */
  async start(): Promise<void> {
    try {
      if (this.#options.forwards.length === 0) throw new KeytoolError('usage', 'a tunnel needs at least one forward')
      for (const spec of this.#options.forwards) {
        const open: OpenTarget = (host, port, origin) => this.#open(host, port, origin)
        this.#forwards.push(await listenLocal(spec, open, error => this.#options.onTrouble?.(spec, error)))
        if (this.#ending) return await this.#closeForwards()
      }
      this.#machine.moveTo('connecting')
      const connection = await this.#options.connect(this.#abort.signal)
      if (this.#ending) return await connection.close()
      connection.closed.then(error => this.#lost(error))
      this.#machine.moveTo('up')
      this.#gotConnection(connection)
      for (const forward of this.#forwards) this.#options.onForward?.(forward)
    } catch (error) {
      await this.#end(isKeytoolError(error) ? error : new KeytoolError('failed', String(error), { cause: error }))
    }
  }

  stop(): Promise<void> {
    return this.#end()
  }

  #open(host: string, port: number, origin: Origin): Promise<Duplex> {
    return this.#connection.then(connection => connection.openDirect(host, port, origin))
  }

  #lost(cause: KeytoolError | undefined): void {
    const { target } = this.#options
    const reason = [cause?.message, cause?.reason].filter(Boolean).join(': ')
    const error = new KeytoolError('unreachable', `the connection to ${target} is lost`, { reason, cause })
    for (const { counters } of this.#forwards) noteError(counters, error)
    this.#end(error)
  }

  #end(error?: KeytoolError): Promise<void> {
    this.#ending ??= this.#takeDown(error)
    return this.#ending
  }

  async #takeDown(error: KeytoolError | undefined): Promise<void> {
    this.#abort.abort()
    const reached = this.#machine.state.name === 'up' ? await this.#connection : undefined
    this.#noConnection(error ?? new KeytoolError('cancelled', `the tunnel to ${this.#options.target} was stopped`))
    await this.#closeForwards()
    await reached?.close()
    this.#machine.moveTo('stopped', error)
    this.#finish(error)
  }

  async #closeForwards(): Promise<void> {
    await Promise.all(this.#forwards.map(forward => forward.close()))
  }
}
