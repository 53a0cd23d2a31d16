interface Waiter {
  readonly pattern: RegExp
  found(match: RegExpExecArray): void
  failed(error: Error): void
}

/** The most that is kept, in characters: a test that writes more has gone wrong. */
const LONGEST = 4 * 1024 * 1024

/** What a program has written so far, and those who wait for something in it. */
export class Transcript {
  #text = ''
  #ended: string | undefined
  readonly #waiters = new Set<Waiter>()

  get text(): string {
    return this.#text
  }

  /** The complete lines and the last incomplete one, without their ends. */
  get lines(): string[] {
    const lines = this.#text.split(/\r?\n/)
    if (lines.at(-1) === '') lines.pop()
    return lines
  }

  add(text: string): void {
    this.#text = (this.#text + text).slice(-LONGEST)
    for (const waiter of this.#waiters) this.#serve(waiter)
  }

  /** Nothing more will come: whoever still waits is told why. */
  end(reason: string): void {
    this.#ended = reason
    for (const waiter of this.#waiters) waiter.failed(this.#error(waiter.pattern, reason))
  }

  /**
   * Resolves with the first match in all that was and will be written.
   * @throws Error with the transcript, when the time is over or the program ends first
   */
  waitFor(pattern: RegExp, timeoutMs = 20_000): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer)
        this.#waiters.delete(waiter)
      }
      const waiter: Waiter = {
        pattern,
        found(match) {
          stop()
          resolve(match)
        },
        failed(error) {
          stop()
          reject(error)
        },
      }
      const timer = setTimeout(() => waiter.failed(this.#error(pattern, `${timeoutMs} ms passed`)), timeoutMs)
      this.#waiters.add(waiter)
      this.#serve(waiter)
      if (this.#ended !== undefined) waiter.failed(this.#error(pattern, this.#ended))
    })
  }

  #serve(waiter: Waiter): void {
    const match = new RegExp(waiter.pattern.source, waiter.pattern.flags.replace(/[gy]/g, '')).exec(this.#text)
    if (match) waiter.found(match)
  }

  #error(pattern: RegExp, reason: string): Error {
    return new Error(`no ${pattern}: ${reason}\n${this.#text}`)
  }
}
