import type { Client, Identity } from '../agent.js'
import { Attempts } from '../gates/attempts.js'
import type { Gate, HeldKey, Use } from '../gates/gate.js'
import { createLock, type Lock } from '../gates/lock.js'
import type { OrderReport } from '../reports.js'
import type { Terms } from '../terms.js'
import type { UpstreamView } from '../upstream/upstream.js'
import type { Caller } from '../who.js'
import type { Held, Incoming } from './held.js'
import { Jobs } from './jobs.js'
import { type Clock, Keys } from './keys.js'
import { Pace } from './pace.js'

/** Told of whatever was asked for and how it went, and of what keys do by themselves. */
export interface Witness {
  used(use: Use, verdict: 'allowed' | 'refused' | 'failed', reason?: string): void
  passed(key: HeldKey, what: 'expired' | 'sealed'): void
}

/** In which order keys are offered, and where that is learnt. */
export interface Arranger {
  arrange<K extends HeldKey>(keys: readonly K[], by: Caller): readonly K[]
  /** This key has signed a login for them. */
  note(by: Caller, blob: Buffer): void
  /** The same order for hosts with these keys. */
  explain(keys: readonly HeldKey[], hostKeys: readonly Buffer[], by: Caller): readonly OrderReport[]
}

export interface RingOptions {
  readonly lock?: Lock
  /** Further gates, in the order they stand behind the lock. */
  readonly gates?: readonly Gate[]
  readonly witness?: Witness
  readonly arranger?: Arranger
  /** What a key is held under, given what it was added under. May throw `refused`. */
  readonly completeTerms?: (identity: Identity, terms: Terms) => Terms
  /** Has a sealed key opened by whoever knows its passphrase. Default: only `unseal` opens it. */
  readonly unseal?: (held: Held, use: Use) => Promise<void>
  /** Takes a passphrase that was not asked for. Rejects with `secret-wrong`. */
  readonly offerPassphrase?: (held: Held, passphrase: Buffer) => Promise<void>
  /** Another agent, as one client has it. */
  readonly upstream?: (client: Client) => UpstreamView
  /** Called when the set of keys, how they are held, or the lock has changed. */
  readonly onChange?: (keys: readonly Held[], left: (held: Held) => number | undefined, isLocked: boolean) => void
  /** Called when the ring has let go of an open key, which is to be gone from memory soon. */
  readonly onForget?: () => void
  /** Facts of the process for `status`. */
  readonly facts?: () => object
  readonly clock?: Clock
}

/** As many as node's threadpool has: more would only wait there, where nobody can take turns. */
const THREADS = 4
/** Passphrases that may wait to be tried: one of each client. Who is told to wait asks less often than who hears no at once. */
const MAX_GUESSES = 1024

/** What all views of one ring share. */
export interface RingCore {
  readonly keys: Keys
  readonly lock: Lock
  /** The lock stands first. */
  readonly gates: readonly Gate[]
  /** For locking and unlocking: the lock itself says what becomes of those. */
  readonly gatesOfLock: readonly Gate[]
  readonly options: RingOptions
  /** Signatures that take long, in threads. */
  readonly signing: Jobs
  /** Those that do not. */
  readonly pace: Pace
  /** Keys that are opened, one at a time, apart from the signatures: those wait for none of them. */
  readonly openings: { readonly slow: Jobs; readonly quick: Jobs }
  /** Proofs of hosts that take long to check, one at a time: apart again, as a login waits for them. */
  readonly checks: Jobs
  /** Passphrases of sealed keys: trying one takes a tenth of a second of the event loop, and memory. */
  readonly guesses: Attempts
  put(incoming: Incoming): Held
  drop(held: Held): void
  clear(): void
  /** Closes a key, if it is open and has an encrypted file. */
  seal(held: Held): void
  /** Closes every open key that has an encrypted file, whatever the gates say. Returns how many. */
  sealAll(): number
  /** How often all were sealed: what was being opened meanwhile is sealed as well. */
  readonly seals: number
  /** How a key is held, or the lock, has changed. */
  changed(): void
}

export function createCore(options: RingOptions): RingCore {
  const { lock = createLock(), gates = [], witness, onChange, onForget } = options
  let seals = 0
  const changed = () => onChange?.(keys.all(), held => keys.left(held), lock.locked)
  const keys = new Keys((held, what) => {
    witness?.passed(held, what)
    onForget?.()
    changed()
  }, options.clock)
  return {
    keys,
    lock,
    gates: [lock, ...gates],
    gatesOfLock: gates,
    options,
    signing: new Jobs(THREADS),
    pace: new Pace(),
    openings: { slow: new Jobs(1), quick: new Jobs(1) },
    checks: new Jobs(1),
    guesses: new Attempts(MAX_GUESSES),
    put(incoming) {
      const held = keys.put(incoming)
      changed()
      return held
    },
    drop(held) {
      keys.drop(held)
      onForget?.()
      changed()
    },
    clear() {
      keys.clear()
      onForget?.()
      changed()
    },
    seal(held) {
      if (!held.isOpen || !held.seal()) return
      onForget?.()
      changed()
    },
    get seals() {
      return seals
    },
    sealAll() {
      seals++
      const closed = keys.all().filter(held => held.isOpen && held.seal()).length
      if (closed > 0) {
        onForget?.()
        changed()
      }
      return closed
    },
    changed,
  }
}
