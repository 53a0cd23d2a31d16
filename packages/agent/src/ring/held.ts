import { KeytoolError, type PrivateKey, type Signature } from '@keytool/keygen'
import type { Identity, KeyState } from '../agent.js'
import type { HeldKey } from '../gates/gate.js'
import { hashOfFlags } from '../protocol/flags.js'
import type { SealedKey } from '../sealed.js'
import { isLooser, type Terms } from '../terms.js'

/** What a key is made of when it comes. One of `open` and `sealed` is there. */
export interface Incoming {
  readonly identity: Identity
  readonly terms: Terms
  readonly origin: 'file' | 'added'
  readonly file?: string
  readonly open?: PrivateKey
  readonly sealed?: SealedKey
}

/** A key of the ring: public data, and a secret that is open, sealed, or both. */
export class Held implements HeldKey {
  /** Apart from the secret, so that whoever sees the list never holds the key with it. */
  readonly identity: Identity
  readonly terms: Terms
  readonly origin: 'file' | 'added'
  readonly file: string | undefined
  readonly sealed: SealedKey | undefined
  /** What it takes beside its line in a list and its secret: see {@link weightOf}. */
  readonly weight: number
  #open: PrivateKey | undefined

  constructor({ identity, terms, origin, file, open, sealed }: Incoming) {
    this.identity = identity
    this.terms = terms
    this.origin = origin
    this.file = file
    this.sealed = sealed
    this.weight = weightOf({ terms, ...(sealed && { sealed }) })
    open?.dropParts()
    this.#open = open
  }

  get isOpen(): boolean {
    return this.#open !== undefined
  }

  /** Signs in a thread. Only an open key tells. */
  get isSlow(): boolean {
    return this.#open?.algorithm.slow === true
  }

  /**
   * @param inThread whether the event loop is to go on meanwhile
   * @throws KeytoolError `refused` when it is sealed
   */
  sign(data: Buffer, flags: number, inThread = false): Promise<Signature> {
    if (this.#open) return this.#open.sign(data, { hash: hashOfFlags(flags), inThread })
    throw new KeytoolError('refused', 'the key is sealed')
  }

  /** Takes over what was opened from its file. */
  open(key: PrivateKey): void {
    if (this.#open && this.#open.parts !== key.parts) this.#open.wipe()
    key.dropParts()
    this.#open = key
  }

  /** Forgets the open half, where the encrypted file can give it again. Returns whether the key is sealed now. */
  seal(): boolean {
    if (!this.sealed) return false
    this.wipe()
    return true
  }

  /** Forgets the open half. */
  wipe(): void {
    this.#open?.wipe()
    this.#open = undefined
  }

  /**
   * What it becomes when the key is added once more: everything of the new one counts, but a half that it does not bring
   * stays. Wipes what is not needed any more of the old.
   *
   * Whoever brings no open half has not shown that the key is theirs: for them it stays open only where it is held no
   * more loosely than before.
   */
  replacedBy(incoming: Incoming): Held {
    const kept = incoming.open || isLooser(incoming.terms, this.terms) ? undefined : this.#open
    if (!kept && this.#open?.parts !== incoming.open?.parts) this.#open?.wipe()
    this.#open = undefined
    const sealed = incoming.sealed ?? this.sealed
    return new Held({ ...incoming, ...(kept && { open: kept }), ...(sealed && { sealed }) })
  }

  /** @param left seconds until it is removed */
  describe(left?: number): KeyState {
    const { identity, terms, origin, file } = this
    return {
      identity,
      terms,
      origin,
      isOpen: this.isOpen,
      isSealable: this.sealed !== undefined,
      ...(left !== undefined && { left }),
      ...(file !== undefined && { file }),
    }
  }
}

/** Bytes of a key's encrypted file and of the hosts it is restricted to. */
export function weightOf({ terms, sealed }: Pick<Incoming, 'terms' | 'sealed'>): number {
  const hops = (terms.destinations ?? []).flatMap(({ from, to }) => [from, to])
  const hosts = hops.map(({ keys }) => keys.reduce((sum, { key }) => sum + key.blob.length, 0))
  return hosts.reduce((sum, size) => sum + size, sealed?.size ?? 0)
}
