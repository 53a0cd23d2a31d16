import type { Identity } from '../agent.js'

/** So many are remembered: whoever adds and removes keys without end pushes the oldest out. */
const MOST = 1000

interface Keyed {
  readonly identity: Identity
}

/** When keys went: because somebody removed them, or because their time was over. */
export class Departures {
  #held: ReadonlySet<Keyed> = new Set()
  /** Milliseconds since 1970, by blobs in base64. */
  readonly #gone = new Map<string, number>()

  /**
   * @param keys all that are held by now; what was held before and is not any more has gone
   * @param now milliseconds since 1970
   */
  note(keys: readonly Keyed[], now: number): void {
    const held = new Set(keys)
    for (const each of this.#held) {
      const { blob } = each.identity
      // One that is added anew takes the place of the old one.
      if (!held.has(each) && !keys.some(({ identity }) => identity.blob.equals(blob))) this.#add(blob, now)
    }
    this.#held = held
  }

  /** When a key with this blob went last, in milliseconds since 1970; undefined when none did. */
  last(blob: Buffer): number | undefined {
    return this.#gone.get(blob.toString('base64'))
  }

  #add(blob: Buffer, now: number): void {
    const name = blob.toString('base64')
    this.#gone.delete(name)
    this.#gone.set(name, now)
    if (this.#gone.size <= MOST) return
    for (const oldest of this.#gone.keys()) return void this.#gone.delete(oldest)
  }
}
