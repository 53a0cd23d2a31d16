import type { Identity } from '../agent.js'

/** What somebody wants of the ring. `key` is the one meant, where one is. */
export interface Use {
  readonly action: 'sign' | 'add' | 'remove' | 'remove-all'
  readonly key?: Identity
}

/**
 * One reason to say no. A use passes through a line of gates, in the order they stand, before the ring does anything.
 * A gate that has to ask somebody waits for this one use alone; the others go on.
 */
export interface Gate {
  /** Throws or rejects with `refused`. Returns nothing where there is nothing to wait for, so that quick uses stay quick. */
  pass(use: Use): void | Promise<void>
  /** Whether the list shows this key. A gate without it hides none. */
  shows?(key: Identity): boolean
}
