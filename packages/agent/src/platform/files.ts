import { randomBytes } from 'node:crypto'
import { type FileHandle, link, mkdir, open, realpath, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { KeytoolError } from '@keytool/keygen'

/** Far above any key, session or known_hosts file; what is larger is not one. In bytes. */
const MAX_FILE = 16 * 1024 * 1024

/**
 * The whole of a file, a pipe or a device.
 * @throws KeytoolError `not-found`; `damaged` for a folder or an empty or huge file; `failed` when it can't be read
 */
export async function readWhole(path: string, cap: number = MAX_FILE): Promise<Buffer> {
  const file = await open(path, 'r').catch(error => {
    throw explain(error, path, 'read')
  })
  try {
    const parts: Buffer[] = []
    let total = 0
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(64 * 1024))
      if (bytesRead === 0) break
      total += bytesRead
      if (total > cap)
        throw new KeytoolError('damaged', `${path} is larger than ${cap} bytes, so it is not what it should be`)
      parts.push(buffer.subarray(0, bytesRead))
    }
    return Buffer.concat(parts)
  } catch (error) {
    throw error instanceof KeytoolError ? error : explain(error, path, 'read')
  } finally {
    await file.close()
  }
}

/** Like {@link readWhole}, but a file that is not there is `undefined`. */
export async function readIfThere(path: string, cap?: number): Promise<Buffer | undefined> {
  try {
    return await readWhole(path, cap)
  } catch (error) {
    if (error instanceof KeytoolError && error.code === 'not-found') return undefined
    throw error
  }
}

export interface WriteOptions {
  /** Permissions where the system has them. Default 0600. */
  readonly mode?: number
  /** Whether an existing file may be replaced. Default false. */
  readonly replace?: boolean
}

/**
 * Writes a file whole or not at all: a temporary file beside it, fsync, then one rename. A link stays a link: what it
 * points to is replaced. Folders on the way are made, 0700.
 * @throws KeytoolError `exists` when it is there and may not be replaced; `failed` when it can't be written
 */
export async function writeWhole(path: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<void> {
  const { mode = 0o600, replace = false } = options
  try {
    const target = replace ? await realpath(path).catch(() => path) : path
    await makeFolder(dirname(target))
    const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`)
    try {
      const file = await open(temporary, 'wx', mode)
      await fillAndClose(file, bytes, mode)
      await (replace ? rename(temporary, target) : moveToNew(temporary, target))
      await syncFolder(dirname(target))
    } finally {
      await rm(temporary, { force: true })
    }
  } catch (error) {
    throw explain(error, path, 'written')
  }
}

/** Makes a folder and its parents, 0700. One that is there is left as it is. */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
}

/** Gives the file its name unless something has it: link refuses that in one step, where rename would not. */
async function moveToNew(temporary: string, target: string): Promise<void> {
  try {
    await link(temporary, target)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined || !noLinks.has(code)) throw error
    // A file system without links (FAT, some network ones): the name is taken first, and then replaced.
    await (await open(target, 'wx')).close()
    await rename(temporary, target)
  }
}

const noLinks: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

async function fillAndClose(file: FileHandle, bytes: Uint8Array, mode: number): Promise<void> {
  try {
    // The umask may have taken bits away; a public key should be 0644 all the same.
    await file.chmod(mode)
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** The rename itself is only safe on disk once the folder is. Windows has no such call and needs none. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined)
  await folder?.sync().catch(() => undefined)
  await folder?.close()
}

const causes: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a part of the path is not a folder',
  ELOOP: 'too many links on the way',
  ENAMETOOLONG: 'the name is too long',
}

function explain(error: unknown, path: string, what: 'read' | 'written'): KeytoolError {
  const code = String((error as NodeJS.ErrnoException).code)
  if (code === 'ENOENT' && what === 'read')
    return new KeytoolError('not-found', `${path} is not there`, { cause: error })
  if (code === 'EISDIR' && what === 'read') {
    return new KeytoolError('damaged', `${path} is a folder, not a file`, { cause: error })
  }
  if (code === 'EEXIST')
    return new KeytoolError('exists', `${path} is there already`, { reason: 'nothing was written', cause: error })
  return new KeytoolError('failed', `${path} can't be ${what}: ${causes[code] ?? code}`, { cause: error })
}
