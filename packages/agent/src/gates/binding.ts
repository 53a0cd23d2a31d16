import {
  decodeSignature,
  isKeytoolError,
  KeytoolError,
  PublicKey,
  publicAlgorithms,
  typeOfBlob,
  verifyCertificate,
} from '@keytool/keygen'
import type { SessionBind } from '../agent.js'
import type { Binding, Bound } from '../who.js'

/** As in OpenSSH: hosts on one way (AGENT_MAX_SESSION_IDS), and bytes of a session id (AGENT_MAX_SID_LEN). */
const MAX_HOPS = 16
const MAX_SESSION_ID = 128

type InTurn = <T>(work: () => Promise<T>) => Promise<T>

/**
 * What one connection is bound to: `session-bind@openssh.com`, PROTOCOL.agent section 1 of OpenSSH. Each bind is accepted
 * or not as OpenSSH does. Stricter are two things: an empty session id is none; and after one bind that is not accepted
 * the connection has `failed` for good, where ssh-agent lets it go on with the binds that were. Such a connection is
 * lied to or lies, and takes no further bind.
 *
 * A signature by SHA-1 (`ssh-rsa`) is accepted, as it is there: a session id is a hash that nobody chooses, and ssh
 * connects to servers that have no better only when told to. What a certificate's authority signed with SHA-1 is not:
 * ssh has accepted no such host since 8.2.
 */
export class SessionBinding implements Binding {
  #hops: readonly Bound[] = []
  #failed = false
  /** The latest bind. Never rejects. */
  #last: Promise<unknown> = Promise.resolve()
  readonly #inTurn: InTurn

  /** @param inTurn does what stops the event loop for milliseconds; each of many clients is to have its turn. Default: at once */
  constructor(inTurn: InTurn = work => work()) {
    this.#inTurn = inTurn
  }

  /** A new array after each bind. */
  get hops(): readonly Bound[] {
    return this.#hops
  }

  get failed(): boolean {
    return this.#failed
  }

  /** Ends all trust in this connection. For a bind that can't even be read. */
  fail(): void {
    this.#failed = true
  }

  /**
   * Records one session, once its host has proved it. The buffers may be cleared afterwards.
   *
   * Rejects with `refused` when the proof does not hold, the host's key is of a type nobody knows, or it does not follow
   * from the sessions before: PROTOCOL.agent section 1; with `damaged` where bytes are no key and no signature.
   */
  bind(bind: SessionBind): Promise<void> {
    // One after the other: the order of the hops is what they mean.
    const turn = this.#last.then(() => this.#bindNext(bind))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  async #bindNext(bind: SessionBind): Promise<void> {
    try {
      if (this.#failed) throw refusal('an earlier session of this connection was refused')
      const verify = () => verifyBind(bind)
      this.#record(await (isCostly(bind.hostKey) ? this.#inTurn(verify) : verify()))
    } catch (error) {
      this.#failed = true
      throw error
    }
  }

  /** The loop of process_ext_session_bind in ssh-agent.c. Its order matters: a hop that is there already may come again. */
  #record(bound: Bound): void {
    for (const hop of this.#hops) {
      if (!hop.forwarding) throw refusal('the connection serves a login, which nothing lies beyond')
      if (!hop.sessionId.equals(bound.sessionId)) continue
      if (hop.hostKey.equals(bound.hostKey)) return
      throw refusal('the session is bound to another host key already')
    }
    if (this.#hops.length >= MAX_HOPS) throw refusal(`a connection is bound to ${MAX_HOPS} sessions at most`)
    this.#hops = [...this.#hops, bound]
  }
}

async function verifyBind({ hostKey: blob, sessionId, signature, forwarding }: SessionBind): Promise<Bound> {
  if (sessionId.length === 0 || sessionId.length > MAX_SESSION_ID) {
    throw refusal(`a session id has 1 to ${MAX_SESSION_ID} bytes, not ${sessionId.length}`)
  }
  const bound: Bound = { hostKey: readHostKey(blob), sessionId: Buffer.from(sessionId), forwarding }
  const { hostKey } = bound
  if (!(await hostKey.verify(bound.sessionId, decodeSignature(signature)))) {
    throw refusal('the host key has not signed the session')
  }
  if (hostKey.algorithm.certifies && !(await isCertified(hostKey))) {
    throw refusal("the host's certificate is not signed by its authority")
  }
  return bound
}

/** DSA, and certificates, whose authorities may be of any type. What is no key is quickly found to be none. */
function isCostly(blob: Buffer): boolean {
  const type = typeOfBlob(blob)
  const algorithm = publicAlgorithms.find(({ name }) => name === type)
  return algorithm !== undefined && (algorithm.type === 'dsa' || algorithm.certifies !== undefined)
}

function readHostKey(blob: Buffer): PublicKey {
  try {
    return PublicKey.fromBlob(blob)
  } catch (cause) {
    throw asRefusal(cause)
  }
}

async function isCertified(hostKey: PublicKey): Promise<boolean> {
  try {
    return await verifyCertificate(hostKey)
  } catch (cause) {
    throw asRefusal(cause)
  }
}

/** A key that nothing here can verify proves nothing. */
function asRefusal(cause: unknown): unknown {
  if (!isKeytoolError(cause) || cause.code !== 'unsupported') return cause
  return new KeytoolError('refused', `the host key can't be verified: ${cause.message}`, { cause })
}

function refusal(message: string): KeytoolError {
  return new KeytoolError('refused', message)
}
