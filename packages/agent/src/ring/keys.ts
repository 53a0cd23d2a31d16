import { uptime } from 'node:os'
import { KeytoolError } from '@keytool/keygen'
import type { Identity } from '../agent.js'
import { encodeMessage, isTooLong } from '../protocol/codec.js'
import { replies } from '../protocol/messages.js'
import { Held, type Incoming, weightOf } from './held.js'

/** Seconds that only grow, and that go on while the machine sleeps: a lifetime is not to be slept away. */
export type Clock = () => number

/** A timer stands still while the machine sleeps, so it is never set for longer than this. In milliseconds. */
const LONGEST_WAIT = 10_000

/** Bytes that the encrypted files and the destinations of all keys may have: some KiB each are usual, 256 can be sent. */
const MAX_WEIGHT = 8 * 1024 * 1024

interface Times {
  /** When it is removed. */
  readonly end: number
  /** Seconds without use after which it is sealed. */
  readonly idle: number
  lastUse: number
}

/** What became of a key by itself. */
export type Passing = (key: Held, what: 'expired' | 'sealed') => void

/** The keys themselves, in the order added, and the clock that ends or seals them. Who may have them is asked elsewhere. */
export class Keys {
  readonly #clock: Clock
  readonly #onPassing: Passing
  /** By the blob's bytes as text. */
  readonly #held = new Map<string, Held>()
  readonly #times = new Map<Held, Times>()
  #timer: NodeJS.Timeout | undefined
  /** What the timer is set for, by the clock. */
  #due = Number.POSITIVE_INFINITY
  /** Grows whenever a list could look different. */
  revision = 0

  constructor(onPassing: Passing, clock: Clock = uptime) {
    this.#onPassing = onPassing
    this.#clock = clock
  }

  /** Those that are still there now. */
  all(): Held[] {
    this.#pass()
    return [...this.#held.values()]
  }

  find(blob: Buffer): Held | undefined {
    const held = this.#held.get(nameOf(blob))
    if (!held || !this.#isOver(held)) return held
    this.#pass()
    return undefined
  }

  holds(held: Held): boolean {
    return this.find(held.identity.blob) === held
  }

  /** Seconds until the key is removed; undefined where it stays. */
  left(held: Held): number | undefined {
    const end = this.#times.get(held)?.end ?? Number.POSITIVE_INFINITY
    return end === Number.POSITIVE_INFINITY ? undefined : Math.max(0, end - this.#clock())
  }

  /** Puts a key in the place of one with the same blob, or at the end. Refuses what would leave too little room. */
  put(incoming: Incoming): Held {
    this.checkRoom(incoming.identity)
    this.#checkWeight(incoming)
    const name = nameOf(incoming.identity.blob)
    const old = this.#held.get(name)
    const held = old ? old.replacedBy(incoming) : new Held(incoming)
    if (old) this.#times.delete(old)
    // Setting an existing name keeps its place in the order, as ssh-agent does.
    this.#held.set(name, held)
    this.#watch(held)
    this.revision++
    return held
  }

  /** Wipes a key that is there. */
  drop(held: Held): void {
    if (this.#held.get(nameOf(held.identity.blob)) !== held) return
    this.#held.delete(nameOf(held.identity.blob))
    this.#times.delete(held)
    held.wipe()
    this.revision++
  }

  /** Wipes all. */
  clear(): void {
    for (const held of this.#held.values()) held.wipe()
    this.#held.clear()
    this.#times.clear()
    this.#setTimer(Number.POSITIVE_INFINITY)
    this.revision++
  }

  /** It was used just now, or opened. */
  touch(held: Held): void {
    const times = this.#times.get(held)
    if (!times || times.idle === Number.POSITIVE_INFINITY) return
    times.lastUse = this.#clock()
    // A timer that is due earlier finds nothing to do, and sets itself anew.
    if (times.lastUse + times.idle < this.#due) this.#setTimer(times.lastUse + times.idle)
  }

  /** A list that does not fit into one message would blind every client. */
  checkRoom(added: Identity): void {
    const others = [...this.#held.values()]
      .map(({ identity }) => identity)
      .filter(({ blob }) => !blob.equals(added.blob))
    if (isTooLong(encodeMessage(replies.identities, { identities: [...others, added] }))) throw fullError()
  }

  #checkWeight(incoming: Incoming): void {
    const others = [...this.#held.values()].filter(({ identity }) => !identity.blob.equals(incoming.identity.blob))
    if (others.reduce((sum, { weight }) => sum + weight, weightOf(incoming)) > MAX_WEIGHT) throw fullError()
  }

  #watch(held: Held): void {
    const { lifetime = Number.POSITIVE_INFINITY, idle = Number.POSITIVE_INFINITY } = held.terms
    if (lifetime === Number.POSITIVE_INFINITY && idle === Number.POSITIVE_INFINITY) return
    const now = this.#clock()
    this.#times.set(held, { end: now + lifetime, idle, lastUse: now })
    const due = now + Math.min(lifetime, held.isOpen ? idle : Number.POSITIVE_INFINITY)
    if (due < this.#due) this.#setTimer(due)
  }

  #isOver(held: Held): boolean {
    const times = this.#times.get(held)
    return times !== undefined && times.end <= this.#clock()
  }

  /** Removes and seals what is due. */
  #pass(): void {
    if (this.#times.size === 0) return
    const now = this.#clock()
    for (const [held, { end, idle, lastUse }] of this.#times) {
      if (end <= now) {
        this.drop(held)
        this.#onPassing(held, 'expired')
      } else if (held.isOpen && lastUse + idle <= now && held.seal()) {
        this.#onPassing(held, 'sealed')
      }
    }
  }

  #setTimer(due: number): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#due = due
    if (due === Number.POSITIVE_INFINITY) return
    // Node's timers may fire a little early.
    const wait = Math.max(0, due - this.#clock()) * 1000 + 5
    this.#timer = setTimeout(
      () => {
        this.#pass()
        this.#setTimer(this.#nextDue())
      },
      Math.min(wait, LONGEST_WAIT),
    ).unref()
  }

  #nextDue(): number {
    const dues = Array.from(this.#times, ([held, { end, idle, lastUse }]) =>
      Math.min(end, held.isOpen && held.sealed ? lastUse + idle : Number.POSITIVE_INFINITY),
    )
    return Math.min(Number.POSITIVE_INFINITY, ...dues)
  }
}

function nameOf(blob: Buffer): string {
  return blob.toString('latin1')
}

function fullError(): KeytoolError {
  return new KeytoolError('refused', 'the agent is full', { hint: 'remove keys that are not used' })
}
