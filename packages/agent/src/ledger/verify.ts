import { setImmediate, setTimeout } from 'node:timers/promises'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { explain } from '../platform/file-trouble.js'
import { GENESIS, type Link } from './chain.js'
import { type Disk, HEAD_FILE, systemDisk } from './files.js'
import { type Found, findLedger } from './state.js'
import { explainMissing, type Problem, type Walked, walkFiles } from './walk.js'

export interface VerifyOptions {
  readonly folder: string
  /** What the running agent says of its end: see `Ledger.head`. Asked just before, it may have written more since. */
  readonly expected?: Link
  readonly disk?: Disk
}

export interface Verification {
  /** Absent: every line that was kept is there, in its place, as it was written. */
  readonly problem?: Problem
  /** How many lines are in their places, up to the problem. */
  readonly entries: number
  /** The number of the first one that is kept. */
  readonly first: number
  /** ISO 8601, as the first and last of those lines say. Absent when there is none. */
  readonly since?: string
  readonly until?: string
  /**
   * How many of them came after the head was sealed last. The agent did not end by itself, and whoever knows how could have
   * cut or added some there.
   */
  readonly unsealed: number
  /** Half a line at the end: the agent ended as it wrote. In bytes. */
  readonly unfinished: number
  /** Folders beside the files that hold ledgers an agent found broken. Each can be verified by itself. */
  readonly aside: readonly string[]
}

/** How often it looks again when files were rotated away under its eyes. */
const TRIES = 5
/** By then the agent has sealed what it wrote, in ms. */
const SEALING = 50

/**
 * Reads all of a ledger, also one that an agent writes on, and says whether it is whole.
 *
 * Without `expected` it can't be told when all of a ledger, key and head included, was replaced by an older state of
 * itself, or made anew by somebody who read the key.
 * @throws KeytoolError `not-found` when there is none; `unsupported` for a newer version; `refused` for files that can't
 * be the user's own; `failed` when they can't be read
 */
export async function verifyLedger({ folder, expected, disk = systemDisk }: VerifyOptions): Promise<Verification> {
  try {
    for (let left = TRIES; ; left--) {
      const { result, hasMoved } = await verifyOnce(folder, expected, disk)
      if (!hasMoved || left === 0) return result
    }
  } catch (error) {
    throw isKeytoolError(error) ? error : explain(error, folder, 'read')
  }
}

interface Attempt {
  readonly result: Verification
  /** The agent has rotated its files meanwhile. */
  readonly hasMoved: boolean
}

async function verifyOnce(folder: string, expected: Link | undefined, disk: Disk): Promise<Attempt> {
  const found = findLedger(folder, disk)
  if (!found) {
    if (!expected?.count) throw new KeytoolError('not-found', `there is no ledger in ${folder}`)
    const what = `the running agent has written ${expected.count} entries, and none is there`
    return stopAt({ what }, [])
  }
  if ('problem' in found) {
    // A rotation between head and list looks like a file that is missing.
    const again = found.problem.n === undefined ? found : findLedger(folder, disk)
    if (again && 'problem' in again) return stopAt(again.problem, again.aside)
    return { ...stopAt(found.problem, found.aside), hasMoved: true }
  }
  const walked = await walk(folder, found, expected, disk)
  if (walked === undefined) return { ...stopAt({ what: 'its files come and go' }, found.aside), hasMoved: true }
  const { head, isSettled } = await lookAgain(folder, found, walked, disk)
  const problem = walked.problem ?? judgeEnd(walked, found, head, isSettled, expected)
  const { since, until } = walked
  const hasMoved = problem !== undefined && head.first !== found.head.first
  const result = {
    ...(problem && { problem }),
    entries: walked.end.count - found.head.first + 1,
    first: found.head.first,
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
    unsealed: isSettled ? Math.max(0, walked.end.count - head.count) : 0,
    unfinished: isSettled ? walked.unfinished : 0,
    aside: found.aside,
  }
  return { result, hasMoved }
}

/** Undefined when a file went away while it was being read. */
async function walk(folder: string, found: Found, expected: Link | undefined, disk: Disk): Promise<Walked | undefined> {
  const { head, files } = found
  const marks = [
    { ...head, says: 'that was sealed last' },
    { ...(expected ?? GENESIS), says: 'that the running agent wrote' },
  ]
  const walk = walkFiles(folder, files, { count: head.first - 1, hash: head.prev }, marks, disk)
  try {
    for (;;) {
      const { done, value } = walk.next()
      if (done) return value
      await setImmediate()
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * What follows the head's last line may be an agent's that writes at this moment: then the head comes after it, and gets
 * the time for that.
 */
async function lookAgain(
  folder: string,
  found: Found,
  walked: Walked,
  disk: Disk,
): Promise<{ head: Found['head']; isSettled: boolean }> {
  const more = walked.end.count - found.head.count
  const hasMore = !walked.problem && more >= 0 && more + walked.unfinished > 0
  if (hasMore) await setTimeout(SEALING)
  const again = findLedger(folder, disk)
  const head = again && 'head' in again ? again.head : found.head
  return { head, isSettled: head.count === found.head.count }
}

/** What is wrong at the end of a chain that is whole so far. */
function judgeEnd(
  walked: Walked,
  { head: { count, synced } }: Found,
  head: Link,
  isSettled: boolean,
  expected: Link | undefined,
): Problem | undefined {
  const { end, next, unfinished } = walked
  if (end.count < count) {
    if (unfinished > 0) return { ...next, n: end.count + 1, what: `entry ${end.count + 1} is cut off` }
    const missing = explainMissing(walked, count)
    // What was never synced a power cut may have taken, the head having been quicker.
    const doubt = end.count >= synced ? ': cut off, or lost with the power of the machine' : ': cut off'
    return { ...missing, what: `${missing.what}${doubt}` }
  }
  if (!expected) return undefined
  if (end.count < expected.count) return explainMissing(walked, expected.count)
  if (head.count < expected.count) {
    return { file: HEAD_FILE, what: `the head is an older one: it counts ${head.count} of ${expected.count} entries` }
  }
  if (isSettled && (end.count > head.count || unfinished > 0)) {
    const line = next.line - (end.count - head.count)
    const place = line > 0 ? { file: next.file, line } : { file: next.file }
    return { ...place, n: head.count + 1, what: `the running agent did not write what follows entry ${head.count}` }
  }
  return undefined
}

function stopAt(problem: Problem, aside: readonly string[]): Attempt {
  return { result: { problem, entries: 0, first: 1, unsealed: 0, unfinished: 0, aside }, hasMoved: false }
}
