import { claimOf, type Link } from './chain.js'
import { type Disk, HEAD_FILE, KEY_FILE, type LineFile, listLedger, openOwn, readSmall } from './files.js'
import { checkVersion, type Head, KEY_SIZE, MAX_HEAD, openHead } from './head.js'
import { readLines } from './lines.js'
import type { Problem } from './walk.js'

/** What a ledger's folder holds. */
export interface Found {
  readonly key: Buffer
  readonly head: Head
  /** Files of lines that the head counts, and one that may follow. */
  readonly files: readonly LineFile[]
  /** Files from before the head's first line. The agent ended just before it removed them. */
  readonly leftover: readonly LineFile[]
  /** The names of what was set aside as broken. */
  readonly aside: readonly string[]
}

/**
 * Reads the head before the list of files: files only come and go so that every head fits those that are there then or
 * later, but for a rotation in between.
 * @returns undefined when there is no ledger. A problem when its head or its first file is not what it should be
 * @throws KeytoolError `unsupported` for a newer version, `refused`; the system's own errors
 */
export function findLedger(
  folder: string,
  disk: Disk,
): Found | { problem: Problem; aside: readonly string[] } | undefined {
  const key = readSmall(folder, KEY_FILE, KEY_SIZE + 1, disk)
  const bytes = readSmall(folder, HEAD_FILE, MAX_HEAD, disk)
  const { files, aside } = listLedger(folder, disk)
  const isStarted = bytes !== undefined && bytes.length > 0
  // The first thing that is written after the key is a head. Without it and without lines nothing has been.
  if (!isStarted && files.length === 0) return undefined
  const wrong = (file: string, what: string) => ({ problem: { file, what }, aside })
  if (!isStarted) {
    checkLines(folder, files, disk)
    return wrong(HEAD_FILE, bytes ? 'the head is empty' : 'the head is missing')
  }
  const head = openHead(bytes, key ?? Buffer.alloc(0))
  if (key === undefined) return wrong(KEY_FILE, 'the key of the head is missing')
  if (key.length !== KEY_SIZE) return wrong(KEY_FILE, 'the key of the head is damaged')
  if (!head) return wrong(HEAD_FILE, 'the head was changed: its seal does not fit')
  const kept = files.filter(({ first }) => first >= head.first)
  const [{ name: file, first } = { name: '', first: head.first }] = kept
  if (first !== head.first) {
    const what =
      first === head.first + 1
        ? `entry ${head.first} is missing before this file`
        : `entries ${head.first} to ${first - 1} are missing before this file`
    return { problem: { file, line: 1, n: head.first, what }, aside }
  }
  return { key, head, files: kept, leftover: files.filter(({ first }) => first < head.first), aside }
}

/** The line before a file's first one, as that one says; undefined when it can't be told. */
export function linkBefore(folder: string, { name, first }: LineFile, disk: Disk): Link | undefined {
  const line = firstLineOf(folder, name, disk)
  const hash = line && /,"prev":"([0-9a-f]{64})"\}$/.exec(line.toString('latin1', Math.max(0, line.length - 80)))?.[1]
  return hash === undefined ? undefined : { count: first - 1, hash }
}

/** Lines without a head may be those of a version that has no head. Throws `unsupported`. */
function checkLines(folder: string, files: readonly LineFile[], disk: Disk): void {
  const last = files.at(-1)
  const line = last && firstLineOf(folder, last.name, disk)
  checkVersion(line && claimOf(line)?.version)
}

function firstLineOf(folder: string, name: string, disk: Disk): Buffer | undefined {
  const fd = openOwn(folder, name, 'read', disk)
  try {
    for (const { bytes, isEnded } of readLines(fd, disk)) return isEnded ? Buffer.from(bytes) : undefined
    return undefined
  } finally {
    disk.closeSync(fd)
  }
}
