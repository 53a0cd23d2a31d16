import { setImmediate } from 'node:timers/promises'
import { isKeytoolError, KeytoolError, type PrivateKey, type Signature, Writer } from '@keytool/keygen'
import type { AddOptions, Agent, Client, Identity, KeyState, Offer, SealedOffer, SessionBind } from '../agent.js'
import { SessionBinding } from '../gates/binding.js'
import type { Gate, HeldKey, Use } from '../gates/gate.js'
import { readPurpose } from '../purpose.js'
import type { OrderReport, StatusReport } from '../reports.js'
import type { Terms } from '../terms.js'
import type { UpstreamView } from '../upstream/upstream.js'
import { type Caller, isForwarded } from '../who.js'
import { Held, type Incoming } from './held.js'
import { goneError } from './jobs.js'
import type { RingCore } from './ring-core.js'

const NO_TERMS: Terms = {}

/** A ring as one client has it: what is theirs is what they are bound to, their turn in line, and their upstream. */
export class RingView implements Agent {
  readonly #core: RingCore
  readonly #client: Client
  readonly #binding: SessionBinding
  #caller: Caller
  readonly #upstream: UpstreamView | undefined
  /** The latest unsealing. Never rejects. */
  #unsealing: Promise<unknown> = Promise.resolve()

  constructor(core: RingCore, client: Client) {
    this.#core = core
    this.#client = client
    this.#binding = new SessionBinding(work => core.checks.run(client, () => afterTurn(work)))
    this.#caller = { binding: { hops: [], failed: false }, ...(client.peer && { peer: client.peer }) }
    this.#upstream = core.options.upstream?.(client)
    client.signal?.addEventListener('abort', () => this.#upstream?.close(), { once: true })
  }

  async list(): Promise<readonly Identity[]> {
    const keys = await this.#visible()
    const arranged = this.#core.options.arranger?.arrange(keys, this.#by) ?? keys
    return arranged.map(({ identity }) => identity)
  }

  async inspect(): Promise<readonly KeyState[]> {
    const { keys } = this.#core
    return (await this.#visible()).map(key => {
      if (!(key instanceof Held)) return { ...key, origin: 'upstream', isOpen: true, isSealable: false }
      const { file, ...state } = key.describe(keys.left(key))
      // Where files lie on this machine is nobody's business elsewhere.
      return file === undefined || this.#isAfar ? state : { ...state, file }
    })
  }

  async sign(blob: Buffer, data: Buffer, flags: number): Promise<Signature> {
    const held = this.#core.keys.find(blob)
    const key = held ?? (await this.#findUpstream(blob))
    if (!key) throw notHeld()
    const use: Use = { ...this.#use(), action: 'sign', key, purpose: readPurpose(data, blob) }
    return this.#attempt(use, async () => {
      const signature = held
        ? await this.#signWith(held, use, data, flags)
        : await this.#signUpstream(blob, data, flags)
      if (use.purpose.kind === 'login') this.#core.options.arranger?.note(use.by, blob)
      return signature
    })
  }

  async add(key: PrivateKey, { terms = NO_TERMS, certificate }: AddOptions = {}): Promise<void> {
    // The key was given away with the call, so nobody else will clear it.
    const identity = { blob: (certificate ?? key.publicKey).blob, comment: key.comment }
    await this.offer({ identity, terms, slow: false, open: async () => key }).catch(error => {
      key.wipe()
      throw error
    })
  }

  async offer({ identity, terms: asked, slow, open }: Offer): Promise<void> {
    if (asked.idle !== undefined) throw refusal('a key without an encrypted file can not be sealed again')
    const terms = this.#complete(identity, asked)
    const use: Use = { ...this.#use(), action: 'add', key: { identity, terms } }
    await this.#attempt(use, async () => {
      this.#checkReplaces(identity)
      this.#core.keys.checkRoom(identity)
      const key = await this.#openInTurn(use, slow, open)
      this.#putOrWipe(use, key, () => ({ identity, terms, origin: 'added', open: key }))
    })
  }

  async addSealed({ identity, terms: asked, sealed, file, open }: SealedOffer): Promise<void> {
    const terms = this.#complete(identity, asked)
    const use: Use = { ...this.#use(), action: 'add', key: { identity, terms } }
    await this.#attempt(use, async () => {
      this.#checkReplaces(identity)
      this.#core.keys.checkRoom(identity)
      const incoming: Incoming = { identity, terms, origin: 'file', sealed, ...(file !== undefined && { file }) }
      if (!open) {
        this.#core.put(incoming)
        return
      }
      const key = await this.#openInTurn(use, false, open)
      this.#putOrWipe(use, key, () => ({ ...incoming, open: key }))
    })
  }

  async unseal(blob: Buffer, passphrase: Buffer): Promise<void> {
    const held = this.#find(blob)
    const use: Use = { ...this.#use(), action: 'unseal', key: held }
    const tryOnce = async () => {
      this.#checkStill(use)
      if (held.isOpen) return
      const { seals } = this.#core
      await this.#openWith(held, passphrase)
      this.#afterOpening(held, use, seals)
    }
    await this.#attempt(use, async () => {
      if (held.isOpen) return
      // One at a time, as those of one client would make each other give way.
      const turn = this.#unsealing.then(() => this.#core.guesses.run(this.#client, tryOnce))
      this.#unsealing = turn.catch(() => undefined)
      await turn
    })
  }

  async #openWith(held: Held, passphrase: Buffer): Promise<void> {
    const { offerPassphrase } = this.#core.options
    if (offerPassphrase) await offerPassphrase(held, passphrase)
    else if (held.sealed) held.open(await held.sealed.open(passphrase))
  }

  async remove(blob: Buffer): Promise<void> {
    const held = this.#find(blob)
    await this.#attempt({ ...this.#use(), action: 'remove', key: held }, async () => this.#core.drop(held))
  }

  async removeAll(): Promise<void> {
    await this.#attempt({ ...this.#use(), action: 'remove-all' }, async () => {
      this.#core.clear()
    })
  }

  async reencrypt(blob: Buffer): Promise<void> {
    const held = this.#find(blob)
    await this.#attempt({ ...this.#use(), action: 'reencrypt', key: held }, async () => {
      if (!held.sealed) throw refusal('there is no encrypted file of this key')
      this.#core.seal(held)
    })
  }

  async reencryptAll(): Promise<number> {
    return this.#attempt({ ...this.#use(), action: 'reencrypt-all' }, async () => {
      this.#core.sealAll()
      return this.#core.keys.all().filter(held => held.isOpen).length
    })
  }

  async lock(passphrase: Buffer): Promise<void> {
    await this.#attempt({ ...this.#use(), action: 'lock' }, async () => {
      await this.#core.lock.lock(passphrase)
      this.#core.sealAll()
      this.#core.changed()
    })
  }

  async unlock(passphrase: Buffer): Promise<void> {
    await this.#attempt({ ...this.#use(), action: 'unlock' }, async () => {
      await this.#core.lock.unlock(passphrase, this.#client)
      this.#core.changed()
    })
  }

  /** Goes on while the agent is locked: a connection that binds late would be taken for one that does not. */
  async bind(bind: SessionBind): Promise<void> {
    await this.#binding.bind(bind)
    const { hostKey, sessionId, signature, forwarding } = bind
    const fields = new Writer().string(hostKey).string(sessionId).string(signature).boolean(forwarding)
    await this.#upstream?.bind(fields.done())
  }

  distrust(): void {
    this.#binding.fail()
  }

  async status(): Promise<StatusReport> {
    if (this.#isAfar) throw refusal('the agent tells about itself on its own machine only')
    const { lock, keys, options } = this.#core
    const held = lock.locked ? [] : keys.all()
    const open = held.filter(({ isOpen }) => isOpen).length
    return { ...options.facts?.(), locked: lock.locked, keys: { sealed: held.length - open, open } }
  }

  async orderFor(hostKeys: readonly Buffer[]): Promise<readonly OrderReport[]> {
    if (this.#isAfar) throw refusal('the agent tells what it has learnt on its own machine only')
    const keys = await this.#visible()
    return this.#core.options.arranger?.explain(keys, hostKeys, this.#by) ?? []
  }

  /** Whether somebody asks through a forwarded agent, or may be. */
  get #isAfar(): boolean {
    return isForwarded(this.#binding) || this.#binding.failed
  }

  /** Who asks, as things stand. What they bind while they wait must not change what was asked, nor what the ledger says of it. */
  get #by(): Caller {
    const { hops, failed } = this.#binding
    const { binding } = this.#caller
    if (binding.hops !== hops || binding.failed !== failed)
      this.#caller = { ...this.#caller, binding: { hops, failed } }
    return this.#caller
  }

  #use(): Pick<Use, 'by' | 'signal'> {
    return { by: this.#by, ...(this.#client.signal && { signal: this.#client.signal }) }
  }

  /** Every use passes here: the gates, then the work; and whatever comes of it is witnessed. */
  async #attempt<T>(use: Use, work: () => Promise<T>): Promise<T> {
    const { witness } = this.#core.options
    try {
      const wait = this.#pass(use)
      if (wait) {
        await wait
        this.#checkStill(use)
      }
      const result = await work()
      witness?.used(use, 'allowed')
      return result
    } catch (error) {
      const isRefusal = isKeytoolError(error) && (error.code === 'refused' || error.code === 'secret-wrong')
      witness?.used(use, isRefusal ? 'refused' : 'failed', isKeytoolError(error) ? error.message : undefined)
      throw error
    }
  }

  async #signWith(held: Held, use: Use, data: Buffer, flags: number): Promise<Signature> {
    if (!held.isOpen) {
      if (!this.#core.options.unseal) throw refusal('the key is sealed')
      const { seals } = this.#core
      await this.#core.options.unseal(held, use)
      this.#afterOpening(held, use, seals)
    }
    this.#core.keys.touch(held)
    const { pace, signing } = this.#core
    if (!held.isSlow) return pace.run(signing.isIdle, inThread => held.sign(data, flags, inThread))
    return signing.run(this.#client, async () => {
      this.#checkStill(use)
      return held.sign(data, flags)
    })
  }

  /** @param seals what the core said before */
  #afterOpening(held: Held, use: Use, seals: number): void {
    this.#core.keys.touch(held)
    try {
      this.#checkStill(use)
      if (seals !== this.#core.seals) throw refusal('all keys were sealed meanwhile')
    } catch (error) {
      // Whoever locked the agent meanwhile, or sealed its keys, thinks that it is sealed.
      this.#core.seal(held)
      throw error
    }
    this.#core.changed()
  }

  async #openInTurn(use: Use, slow: boolean, open: () => Promise<PrivateKey>): Promise<PrivateKey> {
    const client = this.#client
    return this.#core.openings[slow ? 'slow' : 'quick'].run(client, async () => {
      client.probe?.()
      // What is checked at once stops the event loop: it turns before the next one.
      await setImmediate()
      if (client.gone) throw goneError()
      this.#checkStill(use)
      return open()
    })
  }

  #putOrWipe(use: Use, key: PrivateKey, incoming: () => Incoming): void {
    try {
      this.#checkStill(use)
      this.#core.put(incoming())
    } catch (error) {
      key.wipe()
      throw error
    }
  }

  /** What was locked, removed or ruled out while somebody waited is locked, gone and refused. */
  #checkStill(use: Use): void {
    if ('key' in use && use.key instanceof Held && !this.#core.keys.holds(use.key)) throw notHeld()
    for (const gate of this.#gatesOf(use)) if (!gate.asks) gate.pass(use)
  }

  #find(blob: Buffer): Held {
    const held = this.#core.keys.find(blob)
    if (!held) throw notHeld()
    return held
  }

  async #visible(): Promise<readonly HeldKey[]> {
    const { keys, lock } = this.#core
    if (lock.locked) return []
    const own = keys.all()
    const theirs = this.#upstream ? await this.#listUpstream(this.#upstream, own) : []
    return [...own, ...theirs].filter(key => this.#shows(key))
  }

  async #listUpstream(upstream: UpstreamView, own: readonly Held[]): Promise<HeldKey[]> {
    const blobs = new Set(own.map(({ identity }) => identity.blob.toString('latin1')))
    const identities = (await upstream.list()).filter(({ blob }) => !blobs.has(blob.toString('latin1')))
    return identities.map(identity => ({ identity, terms: this.#complete(identity, NO_TERMS) }))
  }

  async #findUpstream(blob: Buffer): Promise<HeldKey | undefined> {
    if (!this.#upstream || this.#core.lock.locked) return undefined
    return (await this.#listUpstream(this.#upstream, [])).find(({ identity }) => identity.blob.equals(blob))
  }

  async #signUpstream(blob: Buffer, data: Buffer, flags: number): Promise<Signature> {
    if (this.#upstream) return this.#upstream.sign(blob, data, flags)
    throw notHeld()
  }

  #complete(identity: Identity, terms: Terms): Terms {
    return this.#core.options.completeTerms?.(identity, terms) ?? terms
  }

  /** Who does not see a key may not change how it is held either. */
  #checkReplaces({ blob }: Identity): void {
    const old = this.#core.keys.find(blob)
    if (old && !this.#shows(old)) throw refusal('the key is there already, and this connection may not change it')
  }

  #shows(key: HeldKey): boolean {
    return this.#core.gates.every(gate => gate.shows?.(key, this.#by) ?? true)
  }

  /** Returns nothing when no gate had to wait. */
  #pass(use: Use): void | Promise<void> {
    const gates = this.#gatesOf(use)
    for (let index = 0; index < gates.length; index++) {
      const wait = gates[index]?.pass(use)
      if (wait) return passRest(wait, gates.slice(index + 1), use)
    }
  }

  #gatesOf({ action }: Use): readonly Gate[] {
    const { gates, gatesOfLock } = this.#core
    return action === 'lock' || action === 'unlock' ? gatesOfLock : gates
  }
}

/** What stops the event loop lets it turn before. */
async function afterTurn<T>(work: () => Promise<T>): Promise<T> {
  await setImmediate()
  return work()
}

async function passRest(wait: Promise<void>, rest: readonly Gate[], use: Use): Promise<void> {
  await wait
  for (const gate of rest) await gate.pass(use)
}

function refusal(message: string): KeytoolError {
  return new KeytoolError('refused', message)
}

function notHeld(): KeytoolError {
  return new KeytoolError('not-found', 'the agent does not hold this key', { hint: 'keytool list' })
}
