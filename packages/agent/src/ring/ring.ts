import type { Agent, Client } from '../agent.js'
import type { Incoming } from './held.js'
import { createCore, type RingCore, type RingOptions } from './ring-core.js'
import { RingView } from './ring-view.js'

/** An agent that holds keys in memory. */
export interface Ring extends Agent {
  /** Forgets every key, whatever the gates say: the agent ends, or somebody has sent SIGUSR1. */
  wipe(): void
  /** Seals every key that has an encrypted file, whatever the gates say. Returns how many it closed. */
  sealAll(): number
  /** Puts a key in without asking the gates: the agent's own, at its start. */
  put(incoming: Incoming): void
  holds(blob: Buffer): boolean
  readonly locked: boolean
}

export function createRing(options: RingOptions = {}): Ring {
  return new KeyRing(createCore(options))
}

/** What is asked of the ring itself is asked by somebody else each time: see {@link Agent.forClient}. */
class KeyRing implements Ring {
  readonly #core: RingCore

  constructor(core: RingCore) {
    this.#core = core
  }

  get locked(): boolean {
    return this.#core.lock.locked
  }

  holds(blob: Buffer): boolean {
    return this.#core.keys.find(blob) !== undefined
  }

  forClient(client: Client): RingView {
    return new RingView(this.#core, client)
  }

  wipe(): void {
    this.#core.clear()
  }

  sealAll(): number {
    return this.#core.sealAll()
  }

  put(incoming: Incoming): void {
    this.#core.put(incoming)
  }

  list: Agent['list'] = () => this.#anybody.list()
  sign: Agent['sign'] = (...args) => this.#anybody.sign(...args)
  add: Agent['add'] = (...args) => this.#anybody.add(...args)
  offer: RingView['offer'] = offer => this.#anybody.offer(offer)
  addSealed: RingView['addSealed'] = offer => this.#anybody.addSealed(offer)
  remove: Agent['remove'] = blob => this.#anybody.remove(blob)
  removeAll: Agent['removeAll'] = () => this.#anybody.removeAll()
  lock: Agent['lock'] = passphrase => this.#anybody.lock(passphrase)
  unlock: Agent['unlock'] = passphrase => this.#anybody.unlock(passphrase)

  get #anybody(): RingView {
    return this.forClient({ gone: false })
  }
}
