import { setImmediate } from 'node:timers/promises'
import { KeytoolError, type PrivateKey, type Signature } from '@keytool/keygen'
import type { Agent, Client, Identity, Offer } from './agent.js'
import type { Gate, Use } from './gates/gate.js'
import { createLock, type Lock } from './gates/lock.js'
import { goneError, Jobs } from './jobs.js'
import { encodeMessage, isTooLong } from './protocol/codec.js'
import { hashOfFlags } from './protocol/flags.js'
import { replies } from './protocol/messages.js'

export interface RingOptions {
  readonly lock?: Lock
  /** Further gates, in the order they stand behind the lock. */
  readonly gates?: readonly Gate[]
}

/** As many as node's threadpool has: more would only wait there, where nobody can take turns. */
const THREADS = 4

interface Entry {
  /** Apart from the key, so that whoever sees the list never holds the key with it. */
  readonly identity: Identity
  readonly key: PrivateKey
}

/** An agent that holds open keys in memory. */
export interface Ring extends Agent {
  /** Forgets every key, whatever the gates say: the agent ends. */
  wipe(): void
}

export function createRing(options: RingOptions = {}): Ring {
  const { lock = createLock() } = options
  return new KeyRing(lock, [lock, ...(options.gates ?? [])])
}

class KeyRing implements Ring {
  readonly #lock: Lock
  readonly #gates: readonly Gate[]
  /** By the blob's bytes as text, in the order added. */
  readonly #entries = new Map<string, Entry>()
  readonly #jobs = new Jobs(THREADS)
  /** Keys that are opened, one at a time, apart from the signatures: those wait for none of them. */
  readonly #openings = { slow: new Jobs(1), quick: new Jobs(1) }

  constructor(lock: Lock, gates: readonly Gate[]) {
    this.#lock = lock
    this.#gates = gates
  }

  async list(): Promise<readonly Identity[]> {
    return this.#visible()
  }

  sign(blob: Buffer, data: Buffer, flags: number): Promise<Signature> {
    return this.#signFor({ gone: false }, blob, data, flags)
  }

  async add(key: PrivateKey): Promise<void> {
    try {
      await this.#pass({ action: 'add', key: identityOf(key) })
      this.#put(key)
    } catch (error) {
      // The key was given away with the call, so nobody else will clear it.
      key.wipe()
      throw error
    }
  }

  offer(offer: Offer): Promise<void> {
    return this.#takeFor({ gone: false }, offer)
  }

  /** Refuses what would leave too little room. */
  #put(key: PrivateKey): void {
    const identity = identityOf(key)
    this.#checkRoom(identity)
    const name = nameOf(identity.blob)
    const old = this.#entries.get(name)
    // Setting an existing name keeps its place in the order, as ssh-agent does.
    this.#entries.set(name, { identity, key })
    if (old && old.key.parts !== key.parts) old.key.wipe()
  }

  async remove(blob: Buffer): Promise<void> {
    const entry = this.#entry(blob)
    await this.#pass({ action: 'remove', key: entry.identity })
    if (this.#entries.delete(nameOf(blob))) entry.key.wipe()
  }

  async removeAll(): Promise<void> {
    await this.#pass({ action: 'remove-all' })
    this.wipe()
  }

  lock(passphrase: Buffer): Promise<void> {
    return this.#lock.lock(passphrase)
  }

  unlock(passphrase: Buffer): Promise<void> {
    return this.#lock.unlock(passphrase)
  }

  forClient(client: Client): Agent {
    return {
      list: () => this.list(),
      sign: (blob, data, flags) => this.#signFor(client, blob, data, flags),
      add: key => this.add(key),
      offer: offer => this.#takeFor(client, offer),
      remove: blob => this.remove(blob),
      removeAll: () => this.removeAll(),
      lock: passphrase => this.lock(passphrase),
      unlock: passphrase => this.#lock.unlock(passphrase, client),
    }
  }

  wipe(): void {
    for (const { key } of this.#entries.values()) key.wipe()
    this.#entries.clear()
  }

  async #signFor(client: Client, blob: Buffer, data: Buffer, flags: number): Promise<Signature> {
    const entry = this.#entry(blob)
    const use: Use = { action: 'sign', key: entry.identity }
    const wait = this.#pass(use)
    if (wait) {
      await wait
      this.#check(entry)
    }
    const sign = () => entry.key.sign(data, { hash: hashOfFlags(flags) })
    if (!isSlow(entry.key)) return sign()
    return this.#jobs.run(client, async () => {
      this.#check(entry)
      // What was locked while it waited for its turn is locked.
      this.#lock.pass(use)
      return sign()
    })
  }

  async #takeFor(client: Client, { identity, slow, open }: Offer): Promise<void> {
    const use: Use = { action: 'add', key: identity }
    await this.#pass(use)
    this.#checkRoom(identity)
    const key = await this.#openings[slow ? 'slow' : 'quick'].run(client, async () => {
      client.probe?.()
      // What is checked at once stops the event loop: it turns before the next one.
      await setImmediate()
      if (client.gone) throw goneError()
      this.#lock.pass(use)
      return open()
    })
    try {
      this.#lock.pass(use)
      this.#put(key)
    } catch (error) {
      key.wipe()
      throw error
    }
  }

  /** A key that went meanwhile is wiped: signing with it would sign with zeros. */
  #check(entry: Entry): void {
    if (this.#entry(entry.identity.blob) !== entry) throw notHeld()
  }

  #entry(blob: Buffer): Entry {
    const entry = this.#entries.get(nameOf(blob))
    if (!entry) throw notHeld()
    return entry
  }

  #visible(): Identity[] {
    return this.#all().filter(identity => this.#gates.every(gate => gate.shows?.(identity) ?? true))
  }

  #all(): Identity[] {
    return Array.from(this.#entries.values(), ({ identity }) => identity)
  }

  /** Returns nothing when no gate had to wait. */
  #pass(use: Use): void | Promise<void> {
    for (const [index, gate] of this.#gates.entries()) {
      const wait = gate.pass(use)
      if (wait) return passRest(wait, this.#gates.slice(index + 1), use)
    }
  }

  /** A list that does not fit into one message would blind every client. */
  #checkRoom(added: Identity): void {
    const others = this.#all().filter(({ blob }) => !blob.equals(added.blob))
    if (!isTooLong(encodeMessage(replies.identities, { identities: [...others, added] }))) return
    throw new KeytoolError('refused', 'the agent is full', { hint: 'remove keys that are not used' })
  }
}

async function passRest(wait: Promise<void>, rest: readonly Gate[], use: Use): Promise<void> {
  await wait
  for (const gate of rest) await gate.pass(use)
}

/** Signs in a thread. */
function isSlow(key: PrivateKey): boolean {
  return key.algorithm.slow === true
}

function identityOf(key: PrivateKey): Identity {
  return { blob: key.publicKey.blob, comment: key.comment }
}

function nameOf(blob: Buffer): string {
  return blob.toString('latin1')
}

function notHeld(): KeytoolError {
  return new KeytoolError('not-found', 'the agent does not hold this key', { hint: 'keytool list' })
}
