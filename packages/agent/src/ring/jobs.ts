import { KeytoolError } from '@keytool/keygen'
import type { Client } from '../agent.js'

interface Job {
  run(): void
  drop(): void
}

/**
 * Slow work, a few at a time. Clients take turns, whichever has how much to do; what somebody wanted who is gone is
 * dropped. Node's own pool would work it off in the order it came, and a flood would be in front of everybody.
 */
export class Jobs {
  readonly #most: number
  /** Whose turn is next comes first. */
  readonly #waiting = new Map<Client, Job[]>()
  #running = 0

  constructor(most: number) {
    this.#most = most
  }

  get isIdle(): boolean {
    return this.#running === 0
  }

  /** Resolves or rejects as `work` does; rejects with `cancelled` when the client has gone before it began. */
  run<T>(client: Client, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = () => {
        this.#running++
        work()
          .then(resolve, reject)
          .finally(() => {
            this.#running--
            this.#startMore()
          })
      }
      const drop = () => reject(goneError())
      const theirs = this.#waiting.get(client)
      if (theirs) theirs.push({ run, drop })
      else this.#waiting.set(client, [{ run, drop }])
      this.#startMore()
    })
  }

  #startMore(): void {
    while (this.#running < this.#most) {
      const [next] = this.#waiting
      if (!next) return
      const [client, jobs] = next
      this.#waiting.delete(client)
      if (client.gone) for (const job of jobs.splice(0)) job.drop()
      const job = jobs.shift()
      if (jobs.length > 0) this.#waiting.set(client, jobs)
      job?.run()
    }
  }
}

export function goneError(): KeytoolError {
  return new KeytoolError('cancelled', 'the client is gone')
}
