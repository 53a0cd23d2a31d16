import { KeytoolError } from '@keytool/keygen'
import type { Connection } from '../connection/connection.js'
import type { Guest } from '../forwards/forward.js'
import type { Clock } from './clock.js'

export interface WaitingRoomOptions {
  /** The server, for texts. */
  readonly target: string
  /** What becomes of a connection that comes while the tunnel is down. */
  readonly whileDown: 'hold' | 'refuse'
  /** How long it is held, in milliseconds. */
  readonly holdTime: number
  /** How many are held at once. */
  readonly holdMax: number
  readonly clock: Clock
}

interface Waiter {
  readonly go: (connection: Connection) => void
  readonly leave: (error: KeytoolError) => void
}

/** Where new connections of the forwards wait for the tunnel, if they may. */
export class WaitingRoom {
  readonly #options: WaitingRoomOptions
  readonly #waiters = new Set<Waiter>()
  #connection: Connection | undefined
  #end: KeytoolError | undefined

  constructor(options: WaitingRoomOptions) {
    this.#options = options
  }

  /** How many wait. */
  get size(): number {
    return this.#waiters.size
  }

  /** Whether whoever comes now has to wait, or is refused. */
  get isShut(): boolean {
    return this.#connection === undefined
  }

  /**
   * @param guest who asks: one who leaves has no place here any more
   * @throws KeytoolError `unreachable` when there is none and no more are held, when that took too long, or who asked has left
   */
  take(guest?: Guest): Promise<Connection> {
    if (this.#connection) return Promise.resolve(this.#connection)
    const { target, whileDown, holdTime, holdMax, clock } = this.#options
    if (this.#end) return Promise.reject(this.#end)
    const reason =
      whileDown === 'refuse'
        ? 'new connections are refused until it is back'
        : this.size >= holdMax && `${holdMax} connections wait for it already`
    if (reason) return Promise.reject(new KeytoolError('unreachable', `${target} is not connected`, { reason }))
    return new Promise((resolve, reject) => {
      const settle = (end: () => void) => {
        callOff()
        unwatch()
        this.#waiters.delete(waiter)
        end()
      }
      const waiter: Waiter = {
        go: connection => settle(() => resolve(connection)),
        leave: error => settle(() => reject(error)),
      }
      const callOff = clock.after(holdTime, () => {
        const reason = `a connection waited ${holdTime / 1000} s for it`
        waiter.leave(new KeytoolError('unreachable', `${target} is not connected`, { reason }))
      })
      this.#waiters.add(waiter)
      const unwatch =
        guest?.onLeave(() =>
          waiter.leave(new KeytoolError('unreachable', 'the connection left before it was carried')),
        ) ?? (() => {})
    })
  }

  /** The tunnel is up: who waited goes through, and who comes from now on. */
  open(connection: Connection): void {
    this.#connection = connection
    for (const waiter of [...this.#waiters]) waiter.go(connection)
  }

  /** The connection is lost. */
  shut(): void {
    this.#connection = undefined
  }

  /** Nobody will ever go through again. */
  close(error: KeytoolError): void {
    this.shut()
    this.#end = error
    for (const waiter of [...this.#waiters]) waiter.leave(error)
  }
}
