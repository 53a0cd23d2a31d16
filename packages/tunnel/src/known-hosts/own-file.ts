import { constants, type FileHandle, open, stat } from 'node:fs/promises'
import type { FileIdentity } from '@keytool/agent/platform'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'

/** As much as is read of any such file. In bytes. */
const MAX_FILE = 16 * 1024 * 1024

/** Opening a pipe waits for its other end, unless it is told not to. Windows has no such flag. */
const WITHOUT_WAITING: number = constants.O_NONBLOCK ?? 0
const flags: Readonly<Record<'change' | 'append', number>> = {
  change: constants.O_RDWR | WITHOUT_WAITING,
  append: constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | WITHOUT_WAITING,
}

/** A plain file of the user's own, held open: whatever takes its name meanwhile is another. */
export interface OwnFile {
  readonly handle: FileHandle
  readonly identity: FileIdentity
  /** Permissions, without its type. */
  readonly mode: number
  readonly size: number
}

/**
 * Opens a file that may be written to. To append, a missing one is made, 0600. Looks at what was opened, not at the path:
 * that may lead elsewhere by now.
 * @throws KeytoolError `not-found`; `refused` for what is no plain file or is another user's; `failed`
 */
export async function openOwn(path: string, what: 'change' | 'append'): Promise<OwnFile> {
  const handle = await open(path, flags[what], 0o600).catch(error => {
    if (what === 'change' && error.code === 'ENOENT') {
      throw new KeytoolError('not-found', `${path} is not there`, { cause: error })
    }
    throw explain(error, path)
  })
  try {
    const stats = await handle.stat({ bigint: true })
    if (!stats.isFile()) throw new KeytoolError('refused', `${path} is no plain file`)
    const user = process.geteuid?.()
    if (user !== undefined && Number(stats.uid) !== user) {
      throw new KeytoolError('refused', `${path} belongs to another user`)
    }
    const { dev, ino } = stats
    return { handle, identity: { dev, ino }, mode: Number(stats.mode) & 0o7777, size: Number(stats.size) }
  } catch (error) {
    await handle.close()
    throw explain(error, path)
  }
}

/** All that it holds now, from its beginning. Throws `damaged` when that is too much. */
export async function readOwn({ handle }: OwnFile, path: string): Promise<Buffer> {
  const parts: Buffer[] = []
  let total = 0
  for (;;) {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(64 * 1024), 0, 64 * 1024, total)
    if (bytesRead === 0) return Buffer.concat(parts)
    total += bytesRead
    if (total > MAX_FILE)
      throw new KeytoolError('damaged', `${path} is larger than ${MAX_FILE} bytes, so it is not what it should be`)
    parts.push(buffer.subarray(0, bytesRead))
  }
}

/** Whether the path still leads to this file. */
export async function isStillAt(path: string, { identity }: OwnFile): Promise<boolean> {
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return found?.dev === identity.dev && found.ino === identity.ino
}

const causes: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOENT: 'the folder it should be in is not there',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  EISDIR: 'it is a folder',
  ENXIO: 'it is no plain file',
}

/** What an error of the system's means for a file that was to be written. */
export function explain(cause: unknown, path: string): KeytoolError {
  if (isKeytoolError(cause)) return cause
  const code = String((cause as NodeJS.ErrnoException).code)
  return new KeytoolError('failed', `${path} can't be written: ${causes[code] ?? code}`, { cause })
}
