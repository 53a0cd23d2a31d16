import { dirname } from 'node:path'
import { makeFolder } from '@keytool/agent/platform'
import { KeytoolError } from '@keytool/keygen'
import { linesAdded } from './lines.js'
import { explain, isStillAt, type OwnFile, openOwn, readOwn } from './own-file.js'

/** How often the file may be exchanged under our hands. */
const TRIES = 5

/**
 * Adds lines at the end of a file of the user's, in one write, as ssh does: lines that other programs add at the same
 * time stay. Where one of them has put another file in its place meanwhile, what is missing there is added again. A new
 * file is 0600.
 * @param lines whole ones, with their ends
 * @throws KeytoolError `refused` for what is no plain file or is another user's, `failed` when it can't be written
 */
export async function appendToOwn(path: string, lines: Buffer): Promise<void> {
  await makeFolder(dirname(path))
  for (let tries = 0; tries < TRIES; tries++) {
    const file = await openOwn(path, 'append')
    try {
      const missing = tries === 0 ? lines : linesAdded(await readOwn(file, path), lines)
      if (missing.length > 0) await append(file, path, missing)
      if (await isStillAt(path, file)) return
    } catch (error) {
      throw explain(error, path)
    } finally {
      await file.handle.close()
    }
  }
  throw new KeytoolError('failed', `${path} is changed by another program all the time`)
}

async function append(file: OwnFile, path: string, lines: Buffer): Promise<void> {
  const bytes = (await lacksEnd(file)) ? Buffer.concat([Buffer.from('\n'), lines]) : lines
  const { bytesWritten } = await file.handle.write(bytes)
  if (bytesWritten < bytes.length) throw new KeytoolError('failed', `${path} can't be written: the disk is full`)
  await file.handle.sync()
}

async function lacksEnd({ handle, size }: OwnFile): Promise<boolean> {
  if (size === 0) return false
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, size - 1)
  return bytesRead === 1 && buffer[0] !== 0x0a
}
