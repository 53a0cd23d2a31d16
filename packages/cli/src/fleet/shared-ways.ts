import { type Destination, showDestination } from '../reach.js'
import type { Way } from '../way.js'

/** Ways through other hosts, each opened once and used by all who go there: one login on a bastion, not one for each host. */
export class SharedWays {
  readonly #ways = new Map<string, Promise<Way>>()

  /**
   * @param open makes the way, for the first who asks. Where it fails, it fails for all
   * @returns a way whose `close` closes nothing: others are on it
   */
  async open(hops: readonly Destination[], open: () => Promise<Way>): Promise<Way> {
    const name = JSON.stringify(hops.map(({ proxyCommand, ...hop }) => [showDestination(hop), proxyCommand]))
    const opening = this.#ways.get(name) ?? open()
    this.#ways.set(name, opening)
    return { ...(await opening), close: async () => {} }
  }

  async close(): Promise<void> {
    const ways = await Promise.allSettled(this.#ways.values())
    this.#ways.clear()
    await Promise.all(ways.map(way => (way.status === 'fulfilled' ? way.value.close() : undefined)))
  }
}
