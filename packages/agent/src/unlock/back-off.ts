import { KeytoolError } from '@keytool/keygen'
import type { Identity } from '../agent.js'
import type { Caller } from '../who.js'
import { nameKey } from '../wording.js'

/** Milliseconds after the first no; twice as many after each that follows, up to the most. */
const FIRST = 1000
const MOST = 30_000
/** A no that lies this far back counts for nothing any more. */
const FORGOTTEN = 5 * 60_000

interface Refusals {
  readonly count: number
  readonly last: number
}

/**
 * Keeps a program that tries again and again from putting the same question before the user as often. For a while after
 * a no, whoever wants the key is refused unasked: 1 s, 2 s, 4 s ... 30 s. Who asks and leaves again is alone in that.
 */
export class BackOff {
  readonly #clock: () => number
  /** By the key's blob as text, and who has left, where it was no answer of the user's. */
  readonly #refusals = new Map<string, Refusals>()

  /** @param clock milliseconds that only grow */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock
  }

  /** Throws `refused` when it is too early to ask anew, for anybody or for this program. */
  check(identity: Identity, by: Caller): void {
    const left = Math.max(this.#left(nameOf(identity)), this.#left(nameOf(identity, by)))
    if (left <= 0) return
    throw new KeytoolError('refused', `${nameKey(identity)} was not opened`, {
      reason: `the user was asked for it a moment ago, and is not asked again for ${Math.ceil(left / 1000)} s`,
      hint: 'keytool unlock opens it without being asked',
    })
  }

  /** @param by who left before there was an answer: a no of theirs alone */
  note(identity: Identity, by?: Caller): void {
    const now = this.#clock()
    for (const [name, { last }] of this.#refusals) if (last + FORGOTTEN <= now) this.#refusals.delete(name)
    const name = nameOf(identity, by)
    const count = (this.#refusals.get(name)?.count ?? 0) + 1
    this.#refusals.set(name, { count, last: now })
  }

  forget(identity: Identity): void {
    this.#refusals.delete(nameOf(identity))
  }

  #left(name: string): number {
    const refusals = this.#refusals.get(name)
    if (!refusals) return 0
    return refusals.last + Math.min(MOST, FIRST * 2 ** (refusals.count - 1)) - this.#clock()
  }
}

function nameOf({ blob }: Identity, by?: Caller): string {
  const pid = by && (by.peer?.programs.at(-1)?.pid ?? by.peer?.pid)
  return `${by ? `${pid}:` : ''}${blob.toString('latin1')}`
}
