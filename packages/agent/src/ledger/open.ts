import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { GENESIS, type Link } from './chain.js'
import { type Disk, HEAD_FILE, KEY_FILE, type LineFile, listLedger, openOwn, readSmall } from './files.js'
import { type Head, KEY_SIZE, sealHead } from './head.js'
import { type Found, findLedger, linkBefore } from './state.js'
import { explainMissing, type Problem, walkFiles, walkNow } from './walk.js'

/** A file of lines, and the hash of the line before its first. */
export interface KeptFile extends LineFile {
  readonly prev: string
}

/** A ledger that can be written on. */
export interface OpenLedger {
  readonly key: Buffer
  readonly head: Head
  readonly headFd: number
  /** The last line, sealed or not. */
  readonly end: Link
  /** Oldest first. */
  readonly files: readonly KeptFile[]
  /** The last of them, opened for appending; undefined when there is none yet. */
  readonly fd: number | undefined
  /** Its size in bytes. */
  readonly size: number
  /** Older files that nothing counts any more. */
  readonly leftover: readonly LineFile[]
  /** What the ledger has to say of itself before it goes on. */
  readonly note?: { readonly action: 'begin' | 'recover'; readonly reason: string }
}

/**
 * Goes on with the ledger that is there, or begins one. Only the last file is read through: an agent has to start quickly,
 * and the rest is `verifyLedger`'s. A broken one is set aside as it is, and a new one begun.
 *
 * What an agent leaves that was killed at any moment is no broken one, because of the order of its writes: lines first,
 * then the head that counts them. So whole lines after the head that are chained, and the beginning of one more, are its
 * own; what lacks a line that the head counts is not.
 * @param expected what an agent that runs remembers of its own end: then nothing may follow that, either
 * @throws KeytoolError `refused`, `unsupported`; the system's own errors
 */
export function openLedger(folder: string, disk: Disk, now: () => number, expected?: Link): OpenLedger {
  const found = findLedger(folder, disk)
  if (found === undefined) {
    return beginLedger(folder, disk, expected?.count ? 'the ledger before this one was removed' : undefined)
  }
  const opened = 'problem' in found ? found.problem : goOn(folder, found, disk, expected)
  if (!('what' in opened)) return opened
  const { file, line, what } = opened
  const aside = setAside(folder, disk, now)
  const place = [file, line && `line ${line}`, what].filter(Boolean).join(', ')
  return beginLedger(folder, disk, `the ledger before this one is broken (${place}) and kept as ${aside}`)
}

function goOn(folder: string, found: Found, disk: Disk, expected: Link | undefined): OpenLedger | Problem {
  const { key, head, files, leftover } = found
  const marks = [{ ...head, says: 'that was sealed last' }]
  // Where the head's line is, or would be.
  const from = Math.max(
    0,
    files.findLastIndex(({ first }) => first <= head.count),
  )
  const kept: KeptFile[] = []
  for (const [i, file] of files.entries()) {
    const before = i === 0 ? { count: head.first - 1, hash: head.prev } : linkBefore(folder, file, disk)
    // A file without a line has been made just before the end.
    kept.push({ ...file, prev: before?.hash ?? '' })
  }
  const start = kept[from]
  const before: Link = start ? { count: start.first - 1, hash: start.prev } : { count: head.first - 1, hash: head.prev }
  const walked = walkNow(walkFiles(folder, files.slice(from), before, marks, disk))
  const { end, unfinished, problem } = walked
  if (problem) return problem
  if (end.count < head.count) return explainMissing(walked, head.count)
  if (expected && (end.count !== expected.count || end.hash !== expected.hash || unfinished > 0)) {
    return { ...walked.next, n: end.count + 1, what: 'the file was changed while the agent ran' }
  }
  const last = kept.at(-1)
  if (last?.prev === '') kept[kept.length - 1] = { ...last, prev: end.hash }
  const fd = last && openOwn(folder, last.name, 'go on with lines', disk)
  const size = fd === undefined ? 0 : disk.fstatSync(fd).size - unfinished
  if (fd !== undefined && unfinished > 0) disk.ftruncateSync(fd, size)
  const headFd = openOwn(folder, HEAD_FILE, 'go on', disk)
  const unsealed = end.count - head.count
  const opened = { key, head, headFd, end, files: kept, fd, size, leftover }
  if (unsealed === 0 && unfinished === 0) return opened
  return { ...opened, note: { action: 'recover', reason: explainRecovery(unsealed, unfinished) } }
}

function explainRecovery(unsealed: number, unfinished: number): string {
  const rest = unfinished > 0 ? ', and half a line was taken away' : ''
  return `the agent before this one ended unexpectedly: ${unsealed} entries were not sealed${rest}`
}

/** The key first, then a head that counts nothing: lines without a head are never ours. */
function beginLedger(folder: string, disk: Disk, reason: string | undefined): OpenLedger {
  const key = readKey(folder, disk) ?? makeKey(folder, disk)
  const { count, hash } = GENESIS
  const head: Head = { count, hash, first: 1, prev: hash, synced: 0 }
  const isThere = readSmall(folder, HEAD_FILE, 1, disk) !== undefined
  const headFd = openOwn(folder, HEAD_FILE, isThere ? 'go on' : 'make', disk)
  try {
    disk.writeSync(headFd, sealHead(head, key), 0, null, 0)
    disk.fsyncSync(headFd)
  } catch (error) {
    disk.closeSync(headFd)
    throw error
  }
  const opened = { key, head, headFd, end: GENESIS, files: [], fd: undefined, size: 0, leftover: [] }
  return reason === undefined ? opened : { ...opened, note: { action: 'begin', reason } }
}

function readKey(folder: string, disk: Disk): Buffer | undefined {
  const key = readSmall(folder, KEY_FILE, KEY_SIZE + 1, disk)
  if (key === undefined || key.length === KEY_SIZE) return key
  // Nothing is sealed with it: half of one, from an agent that was killed as it began.
  disk.unlinkSync(join(folder, KEY_FILE))
  return undefined
}

function makeKey(folder: string, disk: Disk): Buffer {
  const key = randomBytes(KEY_SIZE)
  const fd = openOwn(folder, KEY_FILE, 'make', disk)
  try {
    disk.writeSync(fd, key)
    disk.fsyncSync(fd)
  } finally {
    disk.closeSync(fd)
  }
  return key
}

/** Moves all of a ledger into a folder beside it, where it can still be verified. Returns the folder's name. */
function setAside(folder: string, disk: Disk, now: () => number): string {
  const stamp = new Date(now()).toISOString().replace(/[-:]|\.\d+/g, '')
  const { files, aside } = listLedger(folder, disk)
  let name = `broken-${stamp}`
  for (let i = 2; aside.includes(name); i++) name = `broken-${stamp}-${i}`
  disk.mkdirSync(join(folder, name), { mode: 0o700 })
  // In an order in which what is left is broken, too, should the agent end in between: it is not taken for another ledger.
  for (const each of [KEY_FILE, HEAD_FILE, ...files.map(file => file.name)]) {
    try {
      disk.renameSync(join(folder, each), join(folder, name, each))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return name
}
