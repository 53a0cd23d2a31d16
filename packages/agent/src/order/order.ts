import { randomBytes } from 'node:crypto'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { HeldKey } from '../gates/gate.js'
import { writeWhole } from '../platform/write.js'
import type { KeyRule } from '../policy/policy.js'
import type { Caller } from '../who.js'
import { readLearnt, writeLearnt } from './order-file.js'
import { OrderMemory } from './order-memory.js'
import { arrangeKeys, FIRST, type Reason } from './order-rules.js'

export interface OrderOptions {
  /** The file: in the folder for what survives a restart. */
  readonly path: string
  readonly ruleOf: (key: HeldKey) => KeyRule | undefined
  /** Whether anything is learnt, read or written. It may change: see `learn` of the policy. Default: yes. */
  readonly learns?: () => boolean
  /** Whether a login to this host would see the key, as the gates have it. For `explain`. Default: yes. */
  readonly shows?: (key: HeldKey, hostKey: Buffer) => boolean
  /** Told when the file can't be read or written; the order goes on without it. */
  readonly onTrouble?: (error: KeytoolError) => void
  readonly random?: (bytes: number) => Buffer
  /** How long what was learnt may be unwritten, in milliseconds. Default 2000. */
  readonly delay?: number
}

/** A key, in its turn. */
export interface Turn {
  /** The public key's blob in base64. */
  readonly key: string
  readonly comment: string
  readonly because: Reason
}

/** In which order keys are offered: what gets in comes first, so that no server's MaxAuthTries is used up by others. */
export interface Order {
  /** This key has signed a login for them, so a server has accepted it. Cheap when it is the one that did so last. */
  note(by: Caller, blob: Buffer): void
  /**
   * The keys in their order for whoever asks; the same array when it is that already. For who is bound to a host: those
   * whose rule names hosts, then the two that got in last, then those not tried there yet, then those that were
   * offered in vain. For others: those that last worked for the program, and at the end those whose rule asks for a host.
   */
  arrange<K extends HeldKey>(keys: readonly K[], by: Caller): readonly K[]
  /** The order that a login to a host with one of these keys would see. Notes nothing. */
  explain(keys: readonly HeldKey[], hostKeys: readonly Buffer[]): readonly Turn[]
  /** Writes now what is unwritten. */
  flush(): Promise<void>
  /** The last thing to be called: writes what is unwritten. */
  close(): Promise<void>
}

/** Reads what was learnt. Never rejects: without its file the order is learnt anew. */
export async function createOrder(options: OrderOptions): Promise<Order> {
  const order = new LearntOrder(options)
  await order.load()
  return order
}

class LearntOrder implements Order {
  readonly #options: OrderOptions
  #memory: OrderMemory | undefined
  #loading: Promise<void> | undefined
  /** A newer program's file is left as it is. */
  #mayWrite = true
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(options: OrderOptions) {
    this.#options = options
  }

  load(): Promise<void> {
    if (!this.#learns()) return Promise.resolve()
    this.#loading ??= this.#read().then(memory => {
      this.#loading = undefined
      if (this.#learns()) this.#memory = memory
    })
    return this.#loading
  }

  note(by: Caller, blob: Buffer): void {
    const memory = this.#active()
    const place = memory?.placeOf(by)
    if (memory && place && memory.noteLogin(place, blob)) this.#writeSoon()
  }

  arrange<K extends HeldKey>(keys: readonly K[], by: Caller): readonly K[] {
    if (keys.length < 2) return keys
    const memory = this.#active()
    const place = memory?.placeOf(by)
    const { ruleOf } = this.#options
    const isBound = by.binding.hops.length > 0
    const knows = place !== undefined && memory?.hosts.has(place.id)
    // Most lists are asked for by whoever wants to know what is there.
    if (!isBound && !knows && !keys.some(key => ruleOf(key)?.hosts)) return keys
    const turns = arrangeKeys(keys, { isBound, ruleOf, memory, id: place?.id })
    if (memory && place?.bound) {
      memory.noteOffer(
        place,
        turns.slice(0, FIRST).map(({ key }) => key.identity.blob),
      )
    }
    const arranged = turns.map(({ key }) => key)
    return arranged.every((key, index) => key === keys[index]) ? keys : arranged
  }

  explain(keys: readonly HeldKey[], hostKeys: readonly Buffer[]): readonly Turn[] {
    const { ruleOf, shows } = this.#options
    const memory = this.#active()
    const ids = hostKeys.map(hostKey => memory?.idOfHost(hostKey))
    // A host has several keys, and is bound to by the one that its client likes best.
    const id = ids.find(each => each !== undefined && memory?.hosts.has(each)) ?? ids[0]
    const shown =
      shows && hostKeys.length > 0 ? keys.filter(key => hostKeys.some(hostKey => shows(key, hostKey))) : keys
    return arrangeKeys(shown, { isBound: true, ruleOf, memory, id }).map(({ key: { identity }, because }) => ({
      key: identity.blob.toString('base64'),
      comment: identity.comment,
      because,
    }))
  }

  flush(): Promise<void> {
    if (this.#timer) {
      clearTimeout(this.#timer)
      this.#timer = undefined
      this.#writing = this.#writing.then(() => this.#write())
    }
    return this.#writing
  }

  close(): Promise<void> {
    return this.flush()
  }

  #learns(): boolean {
    return this.#options.learns?.() ?? true
  }

  /** What is known, where anything may be. The policy may have changed since it was last asked. */
  #active(): OrderMemory | undefined {
    if (this.#learns()) {
      if (!this.#memory) void this.load()
      return this.#memory
    }
    this.#memory = undefined
    clearTimeout(this.#timer)
    this.#timer = undefined
    return undefined
  }

  async #read(): Promise<OrderMemory> {
    const { path, random = randomBytes } = this.#options
    try {
      const learnt = await readLearnt(path)
      if (learnt) return new OrderMemory(learnt)
    } catch (error) {
      this.#mayWrite = isKeytoolError(error) && error.code === 'damaged'
      this.#tell(error)
    }
    return new OrderMemory({ salt: random(32), hosts: new Map() })
  }

  #writeSoon(): void {
    if (!this.#mayWrite) return
    // Not set anew each time: what goes on changing is written all the same.
    this.#timer ??= setTimeout(() => void this.flush(), this.#options.delay ?? 2000).unref()
  }

  async #write(): Promise<void> {
    const memory = this.#active()
    if (!memory) return
    try {
      await writeWhole(this.#options.path, writeLearnt(memory), { replace: true })
    } catch (error) {
      this.#tell(error)
    }
  }

  #tell(error: unknown): void {
    const { onTrouble, path } = this.#options
    onTrouble?.(isKeytoolError(error) ? error : new KeytoolError('failed', `${path} can't be used`, { cause: error }))
  }
}
