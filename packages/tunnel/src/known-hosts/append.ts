import { constants, type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { makeFolder } from '@keytool/agent/platform'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'

/** Reading is for the last byte; a pipe is opened without waiting for its other end. Windows has no such flag. */
const FLAGS = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | (constants.O_NONBLOCK ?? 0)

/**
 * Adds a line at the end of a file of the user's, in one write, as ssh does: lines that other programs add at the same
 * time stay. A new file is 0600.
 * @param line without its newline
 * @throws KeytoolError `refused` for what is no plain file or is another user's, `failed` when it can't be written
 */
export async function appendLineToOwn(path: string, line: string): Promise<void> {
  await makeFolder(dirname(path))
  const file = await open(path, FLAGS, 0o600).catch(error => {
    throw explain(error, path)
  })
  try {
    const { size } = await checkOwn(file, path)
    const bytes = Buffer.from(`${(await lacksEnd(file, size)) ? '\n' : ''}${line}\n`)
    const { bytesWritten } = await file.write(bytes)
    if (bytesWritten < bytes.length) throw new KeytoolError('failed', `${path} can't be written: the disk is full`)
    await file.sync()
  } catch (error) {
    throw explain(error, path)
  } finally {
    await file.close()
  }
}

/** Looks at what was opened, not at the path: that may lead elsewhere by now. */
async function checkOwn(file: FileHandle, path: string): Promise<{ size: number }> {
  const found = await file.stat()
  if (!found.isFile()) throw new KeytoolError('refused', `${path} is no plain file`)
  const user = process.geteuid?.()
  if (user === undefined || found.uid === user) return found
  throw new KeytoolError('refused', `${path} belongs to another user`)
}

async function lacksEnd(file: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return false
  const { buffer, bytesRead } = await file.read(Buffer.alloc(1), 0, 1, size - 1)
  return bytesRead === 1 && buffer[0] !== 0x0a
}

const causes: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOENT: 'the folder it should be in is not there',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  EISDIR: 'it is a folder',
}

function explain(cause: unknown, path: string): KeytoolError {
  if (isKeytoolError(cause)) return cause
  const code = String((cause as NodeJS.ErrnoException).code)
  return new KeytoolError('failed', `${path} can't be written: ${causes[code] ?? code}`, { cause })
}
