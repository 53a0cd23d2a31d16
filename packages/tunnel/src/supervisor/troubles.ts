import type { KeytoolError } from '@keytool/keygen'
import type { Clock } from './clock.js'

/** One line in so many milliseconds, and some at once after a quiet time: nobody far away may fill a disk with words of theirs. */
const WINDOW = 1_000
const BURST = 5

/** What is told of trouble in one line. */
export interface TroubleCount {
  /** The last one. */
  readonly error: KeytoolError
  /** How many came. */
  readonly count: number
  /** Whether the others had other reasons. */
  readonly isMixed: boolean
}

/** Tells of trouble with one forward: each new one at once, what is the same or too much in sums. */
export class Troubles {
  readonly #clock: Clock
  readonly #tell: (trouble: TroubleCount) => void
  /** Lines that may be told at once. */
  #left = BURST
  #untold: TroubleCount | undefined
  /** What was told last, while it is news. */
  #last: string | undefined
  #callOff: (() => void) | undefined

  constructor(clock: Clock, tell: (trouble: TroubleCount) => void) {
    this.#clock = clock
    this.#tell = tell
  }

  note(error: KeytoolError): void {
    const isNew = error.message !== this.#last
    if (isNew && this.#untold && this.#left > 1) this.#tellRest()
    const before = this.#untold
    const isMixed = before !== undefined && (before.isMixed || before.error.message !== error.message)
    this.#untold = { error, count: (before?.count ?? 0) + 1, isMixed }
    if (isNew && this.#left > 0) this.#tellRest()
  }

  /** Tells what was not told yet. Nothing comes by itself after that. */
  end(): void {
    this.#tellRest()
    this.#callOff?.()
    this.#callOff = undefined
  }

  #tellRest(): void {
    const untold = this.#untold
    if (!untold) return
    this.#untold = undefined
    this.#last = untold.error.message
    this.#left--
    this.#callOff ??= this.#clock.after(WINDOW, () => this.#pass())
    this.#tell(untold)
  }

  #pass(): void {
    this.#callOff = undefined
    this.#last = undefined
    this.#left = Math.min(this.#left + 1, BURST)
    this.#tellRest()
    if (this.#left < BURST) this.#callOff ??= this.#clock.after(WINDOW, () => this.#pass())
  }
}
