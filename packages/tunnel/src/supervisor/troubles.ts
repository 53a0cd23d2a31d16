import type { KeytoolError } from '@keytool/keygen'
import type { Clock } from './clock.js'

/** At most one line in so many milliseconds: whoever tries again at once must not fill a disk. */
const WINDOW = 1_000

/** Tells of trouble with one forward: the first at once, then how often it came. */
export class Troubles {
  readonly #clock: Clock
  readonly #tell: (error: KeytoolError, count: number) => void
  #callOff: (() => void) | undefined
  #last: KeytoolError | undefined
  #count = 0

  constructor(clock: Clock, tell: (error: KeytoolError, count: number) => void) {
    this.#clock = clock
    this.#tell = tell
  }

  note(error: KeytoolError): void {
    if (this.#callOff && this.#last?.message !== error.message) this.flush()
    this.#last = error
    this.#count++
    if (!this.#callOff) this.flush()
  }

  /** Tells what was not told yet, if anything. */
  flush(): void {
    this.stop()
    if (!this.#last || this.#count === 0) return
    this.#tell(this.#last, this.#count)
    this.#count = 0
    this.#callOff = this.#clock.after(WINDOW, () => this.flush())
  }

  stop(): void {
    this.#callOff?.()
    this.#callOff = undefined
  }
}
