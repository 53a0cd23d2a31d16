import { type BigIntStats, constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { KeytoolError } from '@keytool/keygen'
import { explain } from './file-trouble.js'

/** Far above any key, session or known_hosts file; what is larger is not one. In bytes. */
const MAX_FILE = 16 * 1024 * 1024

/**
 * The whole of what the user named: a file, a pipe or a device.
 * @throws KeytoolError `not-found`; `damaged` for a folder or something huge; `failed` when it can't be read
 */
export async function readWhole(path: string, cap: number = MAX_FILE): Promise<Buffer> {
  return (await read(path, cap, constants.O_RDONLY, () => true)).bytes
}

/**
 * Like {@link readWhole} for a path that nobody named, but that is looked at by itself (a `.pub` beside a key, a session,
 * known_hosts): only a plain file counts, so that a pipe put there keeps nobody waiting.
 */
export async function readPlain(path: string, cap: number = MAX_FILE): Promise<Buffer> {
  // A device answers at once, and /dev/null is a way to say "none".
  return (await read(path, cap, WITHOUT_WAITING, stats => stats.isFile() || stats.isCharacterDevice())).bytes
}

/** Opening a pipe waits for its other end, unless it is told not to. */
const WITHOUT_WAITING = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/** Which file it is, whatever its name. */
export type FileIdentity = Pick<BigIntStats, 'dev' | 'ino'>

/** A file as it was when it was read. */
export interface Original {
  readonly bytes: Buffer
  /** Its permissions, without its type. */
  readonly mode: number
  readonly identity: FileIdentity
  /** When it was written or put in its place, in milliseconds since 1970. */
  readonly changed: number
}

/**
 * Like {@link readPlain}, for what is to be replaced by something made from it: says which file the bytes come from, so
 * that no other one is replaced (`expects` of {@link FileToWrite}). No device has a content that could be replaced.
 */
export async function readToRewrite(path: string, cap: number = MAX_FILE): Promise<Original> {
  const { bytes, stats } = await read(path, cap, WITHOUT_WAITING, stats => stats.isFile())
  const { mode, dev, ino, ctimeMs } = stats
  return { bytes, mode: Number(mode) & 0o7777, identity: { dev, ino }, changed: Number(ctimeMs) }
}

/** Whether this is the file that was meant. */
export function isThis(stats: FileIdentity | undefined, { dev, ino }: FileIdentity): boolean {
  return stats?.dev === dev && stats.ino === ino
}

async function read(
  path: string,
  cap: number,
  flags: number,
  accepts: (stats: BigIntStats) => boolean,
): Promise<{ bytes: Buffer; stats: BigIntStats }> {
  if (path === '') throw new KeytoolError('usage', 'the name of a file is empty')
  const file = await open(path, flags).catch(error => {
    throw explain(error, path, 'read')
  })
  try {
    const stats = await file.stat({ bigint: true })
    if (stats.isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' })
    if (!accepts(stats)) throw new KeytoolError('damaged', `${path} is no plain file`)
    const parts: Buffer[] = []
    let total = 0
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(64 * 1024))
      if (bytesRead === 0) break
      total += bytesRead
      if (total > cap) {
        throw new KeytoolError('damaged', `${path} is larger than ${cap} bytes, so it is not what it should be`)
      }
      parts.push(buffer.subarray(0, bytesRead))
    }
    return { bytes: Buffer.concat(parts), stats }
  } catch (error) {
    throw explain(error, path, 'read')
  } finally {
    await file.close()
  }
}

/** Like {@link readPlain}, but a file that is not there is `undefined`. */
export async function readIfThere(path: string, cap?: number): Promise<Buffer | undefined> {
  try {
    return await readPlain(path, cap)
  } catch (error) {
    if (error instanceof KeytoolError && error.code === 'not-found') return undefined
    throw error
  }
}
