import { type PrivateKey, PublicKey, type Signature } from '@keytool/keygen'

/** One line of an agent's list. */
export interface Identity {
  /** The public key blob, of any type: an agent may hold more types than the table of algorithms knows. */
  readonly blob: Buffer
  readonly comment: string
}

/** Somebody who asks. What they ask for is told from what others ask for by the object itself. */
export interface Client {
  /** No answer reaches them any more, so nothing need be done for them. */
  readonly gone: boolean
  /** Has {@link Client.gone} looked into anew, by the event loop's next turn. For what costs more than looking. */
  probe?(): void
}

/** A key that is still to be opened: checking that it is one may take seconds. */
export interface Offer {
  /** What its public half says. Nothing of it is proved. */
  readonly identity: Identity
  /** True where most of the opening is done outside the event loop. */
  readonly slow: boolean
  /** At most once. Rejects unless the key is one. */
  open(): Promise<PrivateKey>
}

/**
 * What an agent can do. The ring that holds keys and the client that reaches an agent elsewhere both are one, and the
 * server puts either on a socket.
 *
 * Every method rejects with a KeytoolError: `refused` when the agent says no (it is locked, a gate forbids it),
 * `not-found` when a ring does not hold the key, `unreachable` when the agent behind a client is gone.
 */
export interface Agent {
  /** The keys in the order they were added. Empty while the agent is locked. */
  list(): Promise<readonly Identity[]>
  /** @param flags RSA's hash, as in `protocol/flags.ts`; 0 asks for the type's plain signature */
  sign(blob: Buffer, data: Buffer, flags: number): Promise<Signature>
  /** Takes the key over: the agent wipes it when it goes. A key that is there already is replaced, its comment too. */
  add(key: PrivateKey): Promise<void>
  /** As `add`, where the agent says when the key is opened: not before it is let in, and not before its turn. */
  offer?(offer: Offer): Promise<void>
  remove(blob: Buffer): Promise<void>
  removeAll(): Promise<void>
  lock(passphrase: Buffer): Promise<void>
  unlock(passphrase: Buffer): Promise<void>
  /**
   * The same agent as one client has it, with their fair part of what is scarce. What is asked of the agent itself is
   * asked by somebody else each time.
   */
  forClient?(client: Client): Agent
}

/** The identity as a key. `undefined` for a type that the table of algorithms does not have, or what is no key at all. */
export function publicKeyOf({ blob, comment }: Identity): PublicKey | undefined {
  try {
    return PublicKey.fromBlob(blob, comment)
  } catch {
    return undefined
  }
}
