import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { explain } from '../platform/file-trouble.js'
import { type LedgerRecord, readRecord } from './entry.js'
import { type Disk, listLedger, openOwn, systemDisk } from './files.js'
import { readLines } from './lines.js'

export interface ReadOptions {
  readonly folder: string
  /** How many of the last entries. Default: all. */
  readonly count?: number
  /** Which ones are wanted. */
  readonly matches?: (record: LedgerRecord) => boolean
  readonly disk?: Disk
}

export interface ReadEntries {
  /** Oldest first. */
  readonly entries: readonly LedgerRecord[]
  /** Lines on the way that can't be read: `verifyLedger` says why. */
  readonly unreadable: number
}

/**
 * The last entries of a ledger, as they stand there: whether they are true is for `verifyLedger` to say. Reads no more
 * files than it needs, one at a time.
 * @throws KeytoolError `not-found` when there is none; `refused` for files that can't be the user's own; `failed`
 */
export function readLedger({
  folder,
  count = Number.POSITIVE_INFINITY,
  matches,
  disk = systemDisk,
}: ReadOptions): ReadEntries {
  try {
    const { files } = listLedger(folder, disk)
    if (files.length === 0) throw new KeytoolError('not-found', `there is no ledger in ${folder}`)
    const parts: LedgerRecord[][] = []
    let left = count
    let unreadable = 0
    for (const { name } of files.toReversed()) {
      if (left <= 0) break
      const records: LedgerRecord[] = []
      for (const line of linesOf(folder, name, disk)) {
        const record = readRecord(line)
        if (!record) unreadable++
        else if (!matches || matches(record)) records.push(record)
      }
      parts.push(left < records.length ? records.slice(-left) : records)
      left -= records.length
    }
    return { entries: parts.reverse().flat(), unreadable }
  } catch (error) {
    throw isKeytoolError(error) ? error : explain(error, folder, 'read')
  }
}

function* linesOf(folder: string, name: string, disk: Disk): Generator<string> {
  let fd: number
  try {
    fd = openOwn(folder, name, 'read', disk)
  } catch (error) {
    // Rotated away meanwhile.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  try {
    for (const { bytes, isEnded } of readLines(fd, disk)) if (isEnded) yield bytes.toString('utf8')
  } finally {
    disk.closeSync(fd)
  }
}
