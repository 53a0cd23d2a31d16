import type { Duplex } from 'node:stream'
import { KeytoolError } from '@keytool/keygen'
import { type Counters, noteError, zeroCounters } from './pump.js'
import { reset } from './reset.js'

/** More than any honest user of one forward has open at once, and fewer than the descriptors of most processes. */
const MAX_OPEN = 4096

export interface GuestOptions {
  /** Default 4096. */
  readonly limit?: number | undefined
  readonly onTrouble?: ((error: unknown) => void) | undefined
}

/** Those who are connected through one forward: counted, limited, and cut together. */
export class Guests {
  readonly counters: Counters = zeroCounters()
  readonly #open = new Set<Duplex>()
  readonly #limit: number
  readonly #onTrouble: (error: unknown) => void

  constructor({ limit = MAX_OPEN, onTrouble = () => {} }: GuestOptions) {
    this.#limit = limit
    this.#onTrouble = onTrouble
  }

  /** Counts one who came. False when there is no room: then it is to be sent away. */
  receive(): boolean {
    this.counters.connections++
    if (this.#open.size < this.#limit) return true
    this.trouble(new KeytoolError('failed', `more than ${this.#limit} connections at once through one forward`))
    return false
  }

  /** One that was received, until its stream closes. */
  keep(stream: Duplex): void {
    this.counters.open++
    this.#open.add(stream)
    // What goes wrong with it ends in its close; without a listener it would stop the process.
    stream.on('error', error => noteError(this.counters, error))
    stream.once('close', () => {
      this.counters.open--
      this.#open.delete(stream)
    })
  }

  /** Notes and tells what kept one from being carried. */
  trouble(error: unknown): void {
    noteError(this.counters, error)
    this.#onTrouble(error)
  }

  cutAll(): void {
    for (const stream of this.#open) reset(stream)
  }
}
