import { mkdir, open, readdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { explain } from './file-trouble.js'

/**
 * Makes a folder and its parents, 0700. One that is there is left as it is.
 *
 * Walks by itself: node's own recursive form never ends where a file system refuses a new entry with ENOENT, as /proc does.
 * @throws KeytoolError `failed`
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await makeEach(path)
  } catch (error) {
    throw explain(error, path, 'made')
  }
}

/** The same, with the system's own errors. */
export async function makeEach(path: string, mayClimb = true): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && mayClimb && dirname(path) !== path) {
      await makeEach(dirname(path))
      return makeEach(path, false)
    }
    if ((await stat(path).catch(() => undefined))?.isDirectory()) return
    throw code === 'EEXIST' ? Object.assign(new Error('not a folder'), { code: 'ENOTDIR' }) : error
  }
}

/** The names in a folder, sorted. Throws `not-found` or `failed`. */
export async function listFolder(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort()
  } catch (error) {
    throw explain(error, path, 'read')
  }
}

/** The rename itself is only safe on disk once the folder is. Windows has no such call and needs none. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined)
  await folder?.sync().catch(() => undefined)
  await folder?.close()
}
