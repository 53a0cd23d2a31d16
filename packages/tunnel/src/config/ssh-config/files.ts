import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { KeytoolError } from '@keytool/keygen'
import { showPath } from './place.js'

/** What one file may hold: far more than anybody writes. */
const MAX_FILE = 1024 * 1024
const MAX_LINES = 10_000
/** How many files may be read for one host, whatever includes what. */
export const MAX_INCLUDES = 256

const WRITE_BY_OTHERS = 0o022

export interface OpenOptions {
  /** For texts. */
  readonly home: string
  /** The user whose files, besides root's, are believed; `undefined` where files have no such owner. */
  readonly uid: number | undefined
  /** Whether owner and mode are looked at: not for a file that the user named, and not for the system's own. */
  readonly checks: boolean
  /** The user named it: it may be a pipe. */
  readonly isNamed: boolean
}

/**
 * The lines of a file, without their ends; `undefined` when it is not there, none for a folder (ssh reads it so).
 * @throws KeytoolError `refused` when another user may have written it; `damaged` when it is too large or no UTF-8 text;
 * `failed` when it can't be read
 */
export async function readLines(path: string, options: OpenOptions): Promise<string[] | undefined> {
  const shown = showPath(path, options.home)
  const flags = constants.O_RDONLY | (options.isNamed ? 0 : (constants.O_NONBLOCK ?? 0))
  const file = await open(path, flags).catch(cause => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return undefined
    throw unreadable(shown, cause)
  })
  if (!file) return undefined
  try {
    const stats = await file.stat()
    if (options.checks) checkOwner(shown, stats, options.uid)
    if (stats.isDirectory()) return []
    if (!options.isNamed && !stats.isFile() && !stats.isCharacterDevice()) {
      throw new KeytoolError('damaged', `${shown} is no plain file`)
    }
    return splitLines(shown, await readCapped(shown, file))
  } finally {
    await file.close()
  }
}

/** A file that others can change decides what others want (readconf.c: "Bad owner or permissions"). */
function checkOwner(shown: string, stats: { uid: number; mode: number }, uid: number | undefined): void {
  if (uid === undefined) return
  const isForeign = stats.uid !== 0 && stats.uid !== uid
  if (!isForeign && (stats.mode & WRITE_BY_OTHERS) === 0) return
  throw new KeytoolError('refused', `bad owner or permissions on ${shown}`, {
    reason: isForeign ? 'it belongs to another user' : 'others can write it',
    hint: isForeign ? `chown the file to yourself: ${shown}` : `chmod go-w ${shown}`,
  })
}

async function readCapped(shown: string, file: FileHandle): Promise<Buffer> {
  const parts: Buffer[] = []
  let total = 0
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(64 * 1024)).catch(cause => {
      throw unreadable(shown, cause)
    })
    if (bytesRead === 0) return Buffer.concat(parts)
    total += bytesRead
    if (total > MAX_FILE) throw new KeytoolError('damaged', `${shown} is larger than ${MAX_FILE} bytes`)
    parts.push(buffer.subarray(0, bytesRead))
  }
}

function splitLines(shown: string, bytes: Buffer): string[] {
  const lines: string[] = []
  for (let start = 0; start < bytes.length; ) {
    const found = bytes.indexOf(0x0a, start)
    const end = found === -1 ? bytes.length : found
    if (lines.length === MAX_LINES) throw new KeytoolError('damaged', `${shown} has more than ${MAX_LINES} lines`)
    lines.push(decodeLine(`${shown} line ${lines.length + 1}`, bytes.subarray(start, end)))
    start = end + 1
  }
  return lines
}

/** A comment may be in whatever it is. */
function decodeLine(where: string, bytes: Buffer): string {
  const text = bytes.toString('utf8')
  if (/^[ \t\r]*#/.test(text)) return ''
  if (text.includes('\0')) throw new KeytoolError('damaged', `${where}: there is a zero byte in it`)
  if (!text.includes('\ufffd') || Buffer.from(text).equals(bytes)) return text
  throw new KeytoolError('damaged', `${where}: it is not UTF-8`, { hint: 'save the file as UTF-8' })
}

function unreadable(shown: string, cause: NodeJS.ErrnoException): KeytoolError {
  const why = cause.code === 'EACCES' || cause.code === 'EPERM' ? 'permission denied' : String(cause.code)
  return new KeytoolError('failed', `${shown} can't be read: ${why}`, { cause })
}
