import fs, { constants, type Stats } from 'node:fs'
import { join } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import { isOwn } from '../platform/place-check.js'

/** The calls that the ledger makes of a disk. Tests hand in ones that fail. */
export type Disk = Pick<
  typeof fs,
  | 'closeSync'
  | 'fdatasync'
  | 'fsyncSync'
  | 'fstatSync'
  | 'ftruncateSync'
  | 'mkdirSync'
  | 'openSync'
  | 'readSync'
  | 'readdirSync'
  | 'renameSync'
  | 'unlinkSync'
  | 'writeSync'
>

export const systemDisk: Disk = fs

/** The files of a ledger's folder that are not lines. */
export const HEAD_FILE = 'head'
export const KEY_FILE = 'head.key'

/** A file of lines is named by the first of them, so that names sort as lines do. */
export function fileNameOf(n: number): string {
  return `${String(n).padStart(12, '0')}.jsonl`
}

/** A file that holds lines, and the number of the first of them. */
export interface LineFile {
  readonly name: string
  readonly first: number
}

export interface Listing {
  /** In the order of their lines. */
  readonly files: readonly LineFile[]
  /** The names of what was set aside as broken. */
  readonly aside: readonly string[]
}

/** What lies in a ledger's folder; a folder that is not there is empty. What has another name is left alone. */
export function listLedger(folder: string, disk: Disk): Listing {
  let names: string[]
  try {
    names = disk.readdirSync(folder).sort()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    names = []
  }
  const files = names.flatMap(name => {
    const digits = /^(\d{12,15})\.jsonl$/.exec(name)?.[1]
    return digits !== undefined && fileNameOf(Number(digits)) === name ? [{ name, first: Number(digits) }] : []
  })
  return { files: files.sort((a, b) => a.first - b.first), aside: names.filter(name => name.startsWith('broken-')) }
}

const { O_RDONLY, O_RDWR, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants

/** How a file is opened: `make` a new one, `go on` with one that is there. */
export type Opening = 'read' | 'make' | 'go on' | 'make lines' | 'go on with lines'

const openings: Readonly<Record<Opening, number>> = {
  read: O_RDONLY,
  make: O_RDWR | O_CREAT | O_EXCL,
  'go on': O_RDWR,
  'make lines': O_RDWR | O_CREAT | O_EXCL | O_APPEND,
  'go on with lines': O_RDWR | O_APPEND,
}

/**
 * Opens a file of the ledger and makes sure that it is one, by the opened file and not by its name.
 * @throws KeytoolError `refused` for a link, what is no plain file, another user's, or one that others may open; the
 * system's own errors otherwise
 */
export function openOwn(folder: string, name: string, how: Opening, disk: Disk): number {
  const path = join(folder, name)
  let fd: number
  try {
    // A pipe in its place must not keep the agent waiting.
    fd = disk.openSync(path, openings[how] | O_NOFOLLOW | O_NONBLOCK, 0o600)
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ELOOP' ? refusal(path, 'it is a link') : error
  }
  try {
    checkOwn(path, disk.fstatSync(fd))
    return fd
  } catch (error) {
    disk.closeSync(fd)
    throw error
  }
}

function checkOwn(path: string, stats: Stats): void {
  if (!stats.isFile()) throw refusal(path, 'it is no plain file')
  if (!isOwn(stats)) throw refusal(path, 'it belongs to another user')
  // Windows has no such modes.
  if (process.platform !== 'win32' && (stats.mode & 0o077) !== 0) {
    throw refusal(path, 'others may open it', `chmod 600 ${path}`)
  }
}

/** A small file whole; undefined when it is not there. What is longer than `cap` bytes is cut there. */
export function readSmall(folder: string, name: string, cap: number, disk: Disk): Buffer | undefined {
  let fd: number
  try {
    fd = openOwn(folder, name, 'read', disk)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const bytes = Buffer.alloc(cap)
    return bytes.subarray(0, disk.readSync(fd, bytes, 0, cap, 0))
  } finally {
    disk.closeSync(fd)
  }
}

export function refusal(path: string, reason: string, hint = 'move it away first'): KeytoolError {
  return new KeytoolError('refused', `${path} can't hold the ledger`, { reason, hint })
}
