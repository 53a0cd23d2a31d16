import type { HeldKey } from '../gates/gate.js'
import type { KeyRule } from '../policy/policy.js'
import type { OrderMemory } from './order-memory.js'

/** As many as every server lets somebody try: of OpenSSH's six a client may use up one by itself. */
export const FIRST = 5
/** Keys that are offered whatever came of it; the rest of the front is for the others, in turns. */
const MAX_SURE = 3
/** Of these, keys with a rule about hosts. With more of them the turns have to be taken. */
const MAX_RULED = 2
/** And keys that got in: one host may have several users, each with another key. */
const MAX_WORKED = 2

/** Why a key stands where it does. */
export type Reason = 'rule' | 'worked' | 'worked-before' | 'untried' | 'in-vain'

export interface Situation {
  /** Whether a host is known that they are for. */
  readonly isBound: boolean
  readonly ruleOf: (key: HeldKey) => KeyRule | undefined
  readonly memory: OrderMemory | undefined
  /** Whose order it is, in the memory. */
  readonly id: string | undefined
}

interface Row<K> {
  readonly key: K
  readonly because: Reason
  /** Compared one after the other; the smaller number stands in front. */
  readonly rank: readonly number[]
}

/**
 * The keys in the order in which they are to be tried. The front is for what is sure: keys whose rule names hosts (a gate
 * hides those of other hosts), and the keys that got in last. What was offered there in vain goes behind all else, the
 * latest at the very end: whatever there are, within a few connections each has been among the first.
 */
export function arrangeKeys<K extends HeldKey>(keys: readonly K[], situation: Situation): readonly Row<K>[] {
  const { isBound, ruleOf, memory, id } = situation
  const learnt = id === undefined ? [] : (memory?.hosts.get(id) ?? [])
  const tried = isBound && id !== undefined ? memory?.triedAt(id) : undefined
  const knows = memory !== undefined && (learnt.length > 0 || tried !== undefined)
  const facts = keys.map(key => {
    const name = knows ? memory.idOfKey(key.identity.blob) : ''
    const age = learnt.indexOf(name)
    return { key, isRuled: ruleOf(key)?.hosts !== undefined, age, turn: tried?.get(name) ?? 0 }
  })
  const ruled = facts.filter(({ isRuled }) => isRuled).length
  const sureRuled = ruled <= MAX_RULED ? ruled : 0
  const sureWorked = Math.min(MAX_WORKED, MAX_SURE - sureRuled)
  const rows = facts.map(({ key, isRuled, age, turn }, index): Row<K> => {
    const recent = age < 0 ? learnt.length : age
    const learntReason = age > 0 ? 'worked-before' : age === 0 ? 'worked' : turn > 0 ? 'in-vain' : 'untried'
    if (!isBound) return { key, because: learntReason, rank: [isRuled ? 1 : 0, recent, index] }
    const isSure = (age >= 0 && age < sureWorked) || (isRuled && sureRuled > 0)
    return {
      key,
      because: isRuled ? 'rule' : learntReason,
      rank: [isSure ? 0 : 1, isSure ? 0 : turn, isRuled ? 0 : 1, recent, index],
    }
  })
  return rows.sort((one, other) => compare(one.rank, other.rank))
}

function compare(one: readonly number[], other: readonly number[]): number {
  for (const [index, value] of one.entries()) {
    const difference = value - (other[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
