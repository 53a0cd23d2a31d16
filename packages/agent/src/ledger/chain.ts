import { hash } from 'node:crypto'
import { VERSION } from './entry.js'

/** Some line of the chain: its number and its hash. The next one's `prev` is that hash. */
export interface Link {
  /** 0 before the first line. */
  readonly count: number
  /** SHA-256 of the line's bytes without its end, in hex. */
  readonly hash: string
}

/** What stands before the first line. */
export const GENESIS: Link = { count: 0, hash: '0'.repeat(64) }

/** SHA-256 of a line, in hex. A text is hashed as UTF-8. */
export function hashLine(line: string | Uint8Array): string {
  return hash('sha256', line, 'hex')
}

const TAIL = ',"prev":"'.length + 64 + '"}'.length

/**
 * Whether this line is the one that follows `before`.
 * @returns what is wrong: `next` with this line itself, `before` with the link between the two; undefined if nothing is
 */
export function checkLink(line: Buffer, before: Link): { wrong: 'next' | 'before'; what: string } | undefined {
  const n = before.count + 1
  const head = `{"v":${VERSION},"n":${n},`
  if (line.toString('latin1', 0, head.length) !== head) return { wrong: 'next', what: explainNumber(line, n) }
  if (line.length < head.length + TAIL - 1) return { wrong: 'next', what: `entry ${n} is damaged` }
  const tail = line.toString('latin1', line.length - TAIL)
  if (tail === `,"prev":"${before.hash}"}`) return undefined
  if (!/^,"prev":"[0-9a-f]{64}"\}$/.test(tail)) return { wrong: 'next', what: `entry ${n} is damaged` }
  return n === 1
    ? { wrong: 'next', what: 'entry 1 is not the first one of this ledger' }
    : { wrong: 'before', what: `entry ${n - 1} is not the one that entry ${n} was chained to: one of them was changed` }
}

/** The version and number that a line claims; undefined when it claims none. */
export function claimOf(line: Buffer): { version: number; n: number } | undefined {
  const claim = /^\{"v":(\d{1,9}),(?:"n":([1-9]\d{0,14}),)?/.exec(line.toString('latin1', 0, 48))
  return claim ? { version: Number(claim[1]), n: Number(claim[2] ?? 0) } : undefined
}

function explainNumber(line: Buffer, n: number): string {
  const claim = claimOf(line)
  if (claim?.version !== VERSION || claim.n === 0) return `entry ${n} is damaged`
  if (claim.n < n) return `entry ${claim.n} stands where entry ${n} should: some were added or moved`
  return claim.n === n + 1 ? `entry ${n} is missing` : `entries ${n} to ${claim.n - 1} are missing`
}
