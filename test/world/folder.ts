import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A Unix socket's path has 108 bytes, the final zero included; this many are left for what lies in the folder. */
const LONGEST = 108 - 1 - 60

export interface Folder {
  readonly path: string
  /** Removes the folder and all that is in it. */
  dispose(): Promise<void>
}

/** A fresh folder, 0700, whose path is short enough for sockets in it. Throws where the system's own is too long. */
export async function temporaryFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'kt-'))
  const dispose = () => rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  if (Buffer.byteLength(path) <= LONGEST) return { path, dispose }
  await dispose()
  throw new Error(`TMPDIR is too long for Unix sockets: ${path}`)
}
