import type { Identity } from '../agent.js'
import type { Purpose } from '../purpose.js'
import type { Terms } from '../terms.js'
import type { Caller } from '../who.js'

/** A key as gates see it: never the secret. */
export interface HeldKey {
  readonly identity: Identity
  readonly terms: Terms
}

/** What somebody wants of the agent. */
export type Use = {
  readonly by: Caller
  /** Aborted when nobody waits for the answer any more. */
  readonly signal?: AbortSignal
} & (
  | { readonly action: 'sign'; readonly key: HeldKey; readonly purpose: Purpose }
  | { readonly action: 'add' | 'remove' | 'reencrypt' | 'unseal'; readonly key: HeldKey }
  | { readonly action: 'remove-all' | 'reencrypt-all' | 'lock' | 'unlock' }
)

/** One reason to say no. A use passes through a line of gates, in the order they stand, before anything is done. */
export type Gate = QuickGate | AskingGate

interface Shows {
  /** Whether the list shows this key to whoever asks. A gate without it hides none. */
  shows?(key: HeldKey, by: Caller): boolean
}

/** A gate that knows the answer. Asked once more when a use had to wait: what holds may have changed meanwhile. */
export interface QuickGate extends Shows {
  readonly asks?: false
  /** Throws `refused`. */
  pass(use: Use): void
}

/** A gate that may have to ask somebody. This one use waits for it; the others go on. */
export interface AskingGate extends Shows {
  readonly asks: true
  /** Throws or rejects with `refused`. Returns nothing where there is nothing to wait for, so that quick uses stay quick. */
  pass(use: Use): void | Promise<void>
}
