import { checkLink, hashLine, type Link } from './chain.js'
import { type Disk, type LineFile, openOwn } from './files.js'
import { readLines } from './lines.js'

/** The first thing that is wrong with a ledger, and where. */
export interface Problem {
  /** In the ledger's folder. Absent when it is about all of them. */
  readonly file?: string
  /** In that file, from 1. Absent when it is about the whole file. */
  readonly line?: number
  /** The number of the entry. */
  readonly n?: number
  readonly what: string
}

/** A line that has to be in the chain. */
export interface Mark extends Link {
  /** Who says so, as a clause: `that was sealed last`. */
  readonly says: string
}

export interface Walked {
  /** The last whole line that is in its place. */
  readonly end: Link
  /** Where the line after that one is, or would be. */
  readonly next: { readonly file: string; readonly line: number }
  /** How many bytes follow the last whole line in the last file. */
  readonly unfinished: number
  /** The times of the first and the last line, as they say. */
  readonly since?: string
  readonly until?: string
  readonly problem?: Problem
}

/** After so many lines the walk takes a breath, so that whoever waits can do something else. */
const BREATH = 4096

/**
 * Follows the chain through files that follow each other, from the line after `start` on, in bounded memory. Stops at the
 * first problem. Whether enough lines are there is for the caller to judge.
 * @throws KeytoolError `refused`; the system's own errors for a file that is gone or can't be read
 */
export function* walkFiles(
  folder: string,
  files: readonly LineFile[],
  start: Link,
  marks: readonly Mark[],
  disk: Disk,
): Generator<undefined, Walked> {
  let end = start
  let last = { file: files[0]?.name ?? '', line: 0 }
  let next = last
  let unfinished = 0
  let since: string | undefined
  let until: string | undefined
  const walked = (problem?: Problem): Walked => ({
    end,
    next,
    unfinished,
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
    ...(problem && { problem }),
  })
  for (const { name: file, first } of files) {
    const n = end.count + 1
    if (unfinished > 0) return walked({ ...next, n, what: `entry ${n} is cut off` })
    next = { file, line: 1 }
    if (first !== n) return walked({ ...next, n, what: explainFirst(first, n) })
    const fd = openOwn(folder, file, 'read', disk)
    try {
      for (const { bytes, isEnded } of readLines(fd, disk)) {
        if (!isEnded) {
          unfinished = bytes.length
          break
        }
        const trouble = checkLink(bytes, end)
        if (trouble) {
          const { wrong, what } =
            last.line === 0 ? { wrong: 'next', what: explainStart(end.count + 1, trouble) } : trouble
          return walked(wrong === 'next' ? { ...next, n: end.count + 1, what } : { ...last, n: end.count, what })
        }
        end = { count: end.count + 1, hash: hashLine(bytes) }
        last = next
        next = { file, line: next.line + 1 }
        until = timeOf(bytes)
        since ??= until
        const missed = marks.find(({ count, hash }) => count === end.count && hash !== end.hash)
        if (missed) return walked({ ...last, n: end.count, what: `entry ${end.count} is not the one ${missed.says}` })
        if (end.count % BREATH === 0) yield
      }
    } finally {
      disk.closeSync(fd)
    }
  }
  return walked()
}

/** The whole walk at once. */
export function walkNow(walk: Generator<undefined, Walked>): Walked {
  for (;;) {
    const { done, value } = walk.next()
    if (done) return value
  }
}

/** `lines 5 to 7 are missing`, for what the chain lacks at its end. */
export function explainMissing({ end, next }: Walked, count: number): Problem {
  const n = end.count + 1
  const what = n === count ? `entry ${n} is missing` : `entries ${n} to ${count} are missing`
  return { ...(next.file !== '' && next), n, what }
}

/** The line before the first that is walked is vouched for by somebody else: then it is this one that was changed. */
function explainStart(n: number, { wrong, what }: { wrong: 'next' | 'before'; what: string }): string {
  return wrong === 'next' ? what : `entry ${n} is not chained to the one before this file: it was changed`
}

function explainFirst(first: number, n: number): string {
  if (first < n) return `the file should begin with entry ${n}, not with entry ${first}`
  return first === n + 1
    ? `entry ${n} is missing before this file`
    : `entries ${n} to ${first - 1} are missing before this file`
}

/** It follows the number. */
function timeOf(line: Buffer): string | undefined {
  return /"time":"([^"]{1,40})"/.exec(line.toString('latin1', 0, 90))?.[1]
}
