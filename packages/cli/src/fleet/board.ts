import { showForeign } from '@keytool/keygen'
import type { Say } from '../say.js'
import { count } from '../text.js'

const BEAT_MS = 250
/** What is done sooner needs no telling, in milliseconds. */
const PATIENCE_MS = 300
/** Hosts that are shown by name. */
const MAX_SHOWN = 8

/** How far work on several hosts is, at the foot of the terminal. */
export class Board {
  readonly #size: number
  readonly #say: Say
  readonly #running = new Map<string, { since: number; status: string }>()
  readonly #began = performance.now()
  readonly #timer: NodeJS.Timeout | undefined
  #good = 0
  #bad = 0

  constructor(size: number, say: Say) {
    this.#size = size
    this.#say = say
    if (say.hasFoot) this.#timer = setInterval(() => this.#draw(), BEAT_MS)
  }

  begin(word: string): void {
    this.#running.set(word, { since: performance.now(), status: '' })
  }

  /** @param text what is being done there; empty when nothing is to be said of it */
  note(word: string, text: string): void {
    const host = this.#running.get(word)
    if (host) host.status = text
  }

  end(word: string, isGood: boolean): void {
    this.#running.delete(word)
    if (isGood) this.#good++
    else this.#bad++
  }

  close(): void {
    clearInterval(this.#timer)
    if (this.#timer) this.#say.block([])
  }

  #draw(): void {
    const now = performance.now()
    if (now - this.#began < PATIENCE_MS) return
    this.#say.block(this.lines(now))
  }

  /** @param now on the clock of `performance.now()` */
  lines(now: number): string[] {
    const done = this.#good + this.#bad
    const failed = this.#bad === 0 ? '' : `, ${this.#bad} failed`
    const left = this.#size - done - this.#running.size
    const waiting = left === 0 ? '' : `, ${left} waiting`
    const head = `${done} of ${count(this.#size, 'host')} done${failed}${waiting}  ${seconds(now - this.#began)}`
    // Whoever takes longest is what one wants to know about.
    const shown = [...this.#running].slice(0, MAX_SHOWN)
    const more = this.#running.size - shown.length
    return [
      ...(this.#size > 1 ? [head] : []),
      ...shown.map(([word, { since, status }]) =>
        `  ${showForeign(word)}  ${status}  ${seconds(now - since)}`.trimEnd(),
      ),
      ...(more > 0 ? [`  and ${more} more`] : []),
    ]
  }
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`
}
