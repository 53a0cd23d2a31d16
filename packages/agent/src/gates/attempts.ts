import { KeytoolError } from '@keytool/keygen'
import type { Client } from '../agent.js'

interface Attempt {
  readonly client: Client
  /** How often this client has tried, this time included. */
  readonly tries: number
  readonly run: () => Promise<void>
  readonly refuse: (error: KeytoolError) => void
}

/**
 * Attempts that take turns: one after the other, whichever client they come from, so that guessing in parallel gains
 * nothing; and so many wait at most, since memory is not a guesser's to fill.
 *
 * Who has tried less goes first, and makes who has tried most give way where there is no room: the one who knows the
 * passphrase needs one try.
 */
export class Attempts {
  readonly #most: number
  /** Oldest first. */
  #waiting: Attempt[] = []
  readonly #tries = new WeakMap<Client, number>()
  #busy = false

  /** @param most how many may wait for the one that is under way */
  constructor(most: number) {
    this.#most = most
  }

  /** Resolves or rejects as `attempt` does; rejects with `refused` when it is not let to its turn. */
  run(client: Client, attempt: () => Promise<void>): Promise<void> {
    const tries = (this.#tries.get(client) ?? 0) + 1
    this.#tries.set(client, tries)
    return new Promise((resolve, refuse) => {
      const run = () => attempt().then(resolve, refuse)
      this.#enter({ client, tries, run, refuse })
      void this.#work()
    })
  }

  #enter(attempt: Attempt): void {
    this.#leaveOut(({ client }) => client.gone)
    // One of each client waits: the newer one is no better.
    if (this.#waiting.some(({ client }) => client === attempt.client)) {
      attempt.refuse(tooMany())
      return
    }
    this.#waiting.push(attempt)
    if (this.#waiting.length <= this.#most) return
    const most = Math.max(...this.#waiting.map(({ tries }) => tries))
    // The oldest of them: whoever is new has had no chance yet.
    const last = this.#waiting.find(({ tries }) => tries === most)
    this.#leaveOut(each => each === last)
  }

  #leaveOut(isOut: (attempt: Attempt) => boolean): void {
    for (const each of this.#waiting.filter(isOut)) each.refuse(tooMany())
    this.#waiting = this.#waiting.filter(each => !isOut(each))
  }

  async #work(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    for (let next = this.#next(); next; next = this.#next()) await next.run()
    this.#busy = false
  }

  #next(): Attempt | undefined {
    this.#leaveOut(({ client }) => client.gone)
    const least = Math.min(...this.#waiting.map(({ tries }) => tries))
    const next = this.#waiting.find(({ tries }) => tries === least)
    this.#waiting = this.#waiting.filter(each => each !== next)
    return next
  }
}

function tooMany(): KeytoolError {
  return new KeytoolError('refused', 'too many attempts to unlock are waiting')
}
