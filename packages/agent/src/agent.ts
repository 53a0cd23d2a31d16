import { fingerprint, type PrivateKey, PublicKey, type Signature } from '@keytool/keygen'
import type { OrderReport, StatusReport } from './reports.js'
import type { SealedKey } from './sealed.js'
import type { Terms } from './terms.js'
import type { Peer } from './who.js'

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
  /** Aborted once they are gone: a question asked on their behalf is withdrawn. */
  readonly signal?: AbortSignal
  /** Who they are, where the system tells. */
  readonly peer?: Peer
}

/** A key that is still to be opened: checking that it is one may take seconds. */
export interface Offer {
  /** What its public half says. Nothing of it is proved. */
  readonly identity: Identity
  readonly terms: Terms
  /** True where most of the opening is done outside the event loop. */
  readonly slow: boolean
  /** At most once. Rejects unless the key is one. */
  open(): Promise<PrivateKey>
}

/** A key file that is still encrypted, to be opened when it is first used. */
export interface SealedOffer {
  readonly identity: Identity
  readonly terms: Terms
  readonly sealed: SealedKey
  /** Where the file lies, as whoever brings it says. */
  readonly file?: string
  /** The same key, open, where whoever brings it has opened it already. */
  readonly open?: () => Promise<PrivateKey>
}

export interface AddOptions {
  readonly terms?: Terms
  /** The certificate under which it is held, instead of its plain public key. */
  readonly certificate?: PublicKey
}

/** A session that a client says its connection serves, as it travels: `session-bind@openssh.com`. Nothing of it is proved. */
export interface SessionBind {
  readonly hostKey: Buffer
  readonly sessionId: Buffer
  readonly signature: Buffer
  readonly forwarding: boolean
}

/** A key, and how it is held. */
export interface KeyState {
  readonly identity: Identity
  readonly terms: Terms
  readonly origin: 'file' | 'added' | 'upstream'
  /** Whether its secret is in memory. */
  readonly isOpen: boolean
  /** Whether an encrypted file of it is there, to be opened anew. */
  readonly isSealable: boolean
  /** Seconds until it is removed. */
  readonly left?: number
  readonly file?: string
}

/**
 * What an agent can do. The ring that holds keys and the client that reaches an agent elsewhere both are one, and the
 * server puts either on a socket. What not every agent has is optional: a server refuses it where it is absent.
 *
 * Every method rejects with a KeytoolError: `refused` when the agent says no (it is locked, a gate forbids it),
 * `not-found` when a ring does not hold the key, `unreachable` when the agent behind a client is gone.
 */
export interface Agent {
  /** The keys in the order they should be tried. Empty while the agent is locked. The same array while nothing changes. */
  list(): Promise<readonly Identity[]>
  /** @param flags RSA's hash, as in `protocol/flags.ts`; 0 asks for the type's plain signature */
  sign(blob: Buffer, data: Buffer, flags: number): Promise<Signature>
  /** Takes the key over: the agent wipes it when it goes. A key that is there already is replaced, its comment too. */
  add(key: PrivateKey, options?: AddOptions): Promise<void>
  remove(blob: Buffer): Promise<void>
  removeAll(): Promise<void>
  lock(passphrase: Buffer): Promise<void>
  unlock(passphrase: Buffer): Promise<void>

  /** As `add`, where the agent says when the key is opened: not before it is let in, and not before its turn. */
  offer?(offer: Offer): Promise<void>
  /** Takes a key that is still encrypted. */
  addSealed?(offer: SealedOffer): Promise<void>
  /** Opens a sealed key for everybody who waits for it. Rejects with `secret-wrong`, too. */
  unseal?(blob: Buffer, passphrase: Buffer): Promise<void>
  /** Forgets the open half of a key whose encrypted file is there. Rejects with `refused` where none is. */
  reencrypt?(blob: Buffer): Promise<void>
  /** The same for all. Resolves to how many stay open. */
  reencryptAll?(): Promise<number>
  /** Whom this connection serves. */
  bind?(bind: SessionBind): Promise<void>
  /** The connection has said something of a session that can't be read. */
  distrust?(): void
  /** As `list`, with how each key is held. */
  inspect?(): Promise<readonly KeyState[]>
  /** What `keytool agent status` asks: facts that may be shown to whoever reaches the socket. */
  status?(): Promise<StatusReport>
  /** The keys in the order in which a host with one of these keys would be offered them, with what is known of each. */
  orderFor?(hostKeys: readonly Buffer[]): Promise<readonly OrderReport[]>
  /**
   * The same agent as one client has it, with their fair part of what is scarce. What is asked of the agent itself is
   * asked by somebody else each time.
   */
  forClient?(client: Client): Agent
}

/** By the object that the ring keeps: a key is used again and again. */
const fingerprints = new WeakMap<Identity, string>()

/** As ssh-keygen prints it. A certificate has its key's; a type that is in no table is its blob. */
export function fingerprintOf(identity: Identity): string {
  const known = fingerprints.get(identity)
  if (known !== undefined) return known
  const made = fingerprint(publicKeyOf(identity) ?? identity)
  fingerprints.set(identity, made)
  return made
}

/** The identity as a key. `undefined` for a type that the table of algorithms does not have, or what is no key at all. */
export function publicKeyOf({ blob, comment }: Identity): PublicKey | undefined {
  try {
    return PublicKey.fromBlob(blob, comment)
  } catch {
    return undefined
  }
}
