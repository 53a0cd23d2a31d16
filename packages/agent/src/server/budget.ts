/** What a request costs beside its bytes: its place in line, its promises, its answer. In bytes, roughly. */
const OVERHEAD = 1024

/**
 * Memory for the requests that all connections of a service have under way together.
 *
 * One request of each connection goes on whatever the others do, so that whoever asks one thing after the other never
 * waits for those who ask many at once; these share the budget. A connection that finds none left has one under way,
 * and asks again when that is answered.
 */
export class Budget {
  readonly #most: number
  #taken = 0

  /** @param most in bytes */
  constructor(most: number) {
    this.#most = most
  }

  /** Whether a further request of so many bytes, of a connection that has others under way, may begin. */
  allows(bytes: number): boolean {
    return this.#taken + bytes + OVERHEAD <= this.#most
  }

  take(bytes: number): void {
    this.#taken += bytes + OVERHEAD
  }

  /** Once for each {@link Budget.take}, with the same number. */
  giveBack(bytes: number): void {
    this.#taken -= bytes + OVERHEAD
  }
}
