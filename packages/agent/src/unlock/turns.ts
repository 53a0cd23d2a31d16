import { withdrawn } from './prompter.js'

interface Turn {
  begin(): void
}

/**
 * Questions that stand open at a time: so many in all, and one of each asker. The rest wait in line, where askers take
 * turns: whoever asks much waits for themselves.
 */
export class Turns {
  readonly #most: number
  readonly #open = new Set<unknown>()
  /** Whose turn is next comes first. */
  readonly #waiting = new Map<unknown, Turn[]>()

  constructor(most: number) {
    this.#most = most
  }

  /**
   * Resolves or rejects as `ask` does; rejects with `cancelled` when the signal is aborted before it began.
   * @param asker the same value for the same one, as a Map's key
   */
  take<T>(asker: unknown, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(withdrawn())
      const leave = () => {
        this.#drop(asker, turn)
        reject(withdrawn())
      }
      const turn: Turn = {
        begin: () => {
          signal.removeEventListener('abort', leave)
          this.#open.add(asker)
          // What can't even begin is over, too.
          new Promise<T>(begun => begun(ask())).then(resolve, reject).finally(() => {
            this.#open.delete(asker)
            this.#beginMore()
          })
        },
      }
      signal.addEventListener('abort', leave, { once: true })
      const theirs = this.#waiting.get(asker)
      if (theirs) theirs.push(turn)
      else this.#waiting.set(asker, [turn])
      this.#beginMore()
    })
  }

  #beginMore(): void {
    for (const [asker, turns] of [...this.#waiting]) {
      if (this.#open.size >= this.#most) return
      if (this.#open.has(asker)) continue
      this.#waiting.delete(asker)
      const turn = turns.shift()
      if (turns.length > 0) this.#waiting.set(asker, turns)
      turn?.begin()
    }
  }

  #drop(asker: unknown, turn: Turn): void {
    const left = (this.#waiting.get(asker) ?? []).filter(each => each !== turn)
    if (left.length > 0) this.#waiting.set(asker, left)
    else this.#waiting.delete(asker)
  }
}
