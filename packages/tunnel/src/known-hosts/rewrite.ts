import { writeWhole } from '@keytool/agent/platform'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { appendToOwn } from './append.js'
import { linesAdded } from './lines.js'
import { whileLocked } from './lock.js'
import { explain, isStillAt, type OwnFile, openOwn, readOwn } from './own-file.js'

/** How often others may change the file before ours is given up. */
const TRIES = 20

export interface RewriteOptions {
  /** Keeps the old file as `PATH.old`, as ssh-keygen does. */
  readonly keepOld?: boolean
}

/**
 * Puts a changed file in the place of one of the user's own: whole or not at all, with its mode, behind its link. Made anew
 * from what is there when somebody else was quicker; lines that others append until the very rename are carried over.
 * @param edit what it is to hold, made from what it holds; `undefined` when that is as it should be. May be called again
 * @returns whether it was changed. One that is not there is not
 * @throws KeytoolError `refused` for what is no plain file or is another user's; `damaged` when it is too large, or what
 * `edit` throws; `failed` when it can't be written
 */
export async function rewriteOwn(
  path: string,
  edit: (bytes: Buffer) => Buffer | undefined,
  options: RewriteOptions = {},
): Promise<boolean> {
  return whileLocked(path, async () => {
    for (let tries = 0; tries < TRIES; tries++) {
      const file = await openIfThere(path)
      if (!file) return false
      try {
        const before = await readOwn(file, path)
        const after = edit(before)
        if (!after) return false
        if (await replace(file, path, before, after, options)) return true
      } finally {
        await file.handle.close()
      }
    }
    throw new KeytoolError('failed', `${path} is changed by another program all the time`, {
      reason: 'nothing was changed',
    })
  })
}

async function openIfThere(path: string): Promise<OwnFile | undefined> {
  try {
    return await openOwn(path, 'change')
  } catch (error) {
    if (isKeytoolError(error) && error.code === 'not-found') return undefined
    throw error
  }
}

/** False when somebody else has changed the file since it was read. */
async function replace(
  file: OwnFile,
  path: string,
  before: Buffer,
  after: Buffer,
  { keepOld = false }: RewriteOptions,
): Promise<boolean> {
  const { mode, identity } = file
  const isAsRead = async () => (await isStillAt(path, file)) && (await readOwn(file, path)).equals(before)
  const changed = new KeytoolError('failed', `${path} was changed by somebody else meanwhile`)
  try {
    if (keepOld) await writeWhole(`${path}.old`, before, { mode, replace: true })
    await writeWhole(path, after, {
      mode,
      replace: true,
      expects: identity,
      async check(written) {
        if (!written.equals(after))
          throw new KeytoolError('failed', `${path} can't be written: it reads back otherwise`)
        if (!(await isAsRead())) throw changed
      },
    })
  } catch (error) {
    if (error === changed || !(await isStillAt(path, file))) return false
    throw explain(error, path)
  }
  // Whoever had opened the old file before the rename may have written to it since: it is still at hand.
  const late = linesAdded(before, await readOwn(file, path))
  if (late.length > 0) await appendToOwn(path, late)
  return true
}
