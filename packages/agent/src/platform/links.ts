import { lstat, readlink, stat } from 'node:fs/promises'
import { join, parse, resolve, sep } from 'node:path'
import { KeytoolError } from '@keytool/keygen'

/** As Linux counts. */
const MOST_LINKS = 40
const STICKY = 0o1000

/**
 * Where a path leads once every link on it is followed, even if nothing is there yet. A link that another user put into a
 * folder where everybody may put things is not followed: it would have us write where that user wants (what Linux
 * calls protected_symlinks).
 */
export async function followLinks(path: string, isFolder = false): Promise<string> {
  const { root } = parse(resolve(path))
  const left = resolve(path).slice(root.length).split(sep)
  let links = 0
  let at = root
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    const next = join(at, name)
    const to = await readlink(next).catch(() => undefined)
    if (to === undefined) {
      at = next
      continue
    }
    if (++links > MOST_LINKS) throw Object.assign(new Error('too many links'), { code: 'ELOOP' })
    await refuseForeignLink(next, at)
    const led = resolve(at, to)
    // A folder that a link only promises is not made.
    if (left.length > 0 || isFolder) await stat(led)
    left.unshift(...led.slice(root.length).split(sep))
    at = root
  }
  return at
}

async function refuseForeignLink(path: string, folder: string): Promise<void> {
  const [link, around] = await Promise.all([lstat(path), stat(folder)])
  const own = process.getuid?.() ?? link.uid
  if ((around.mode & STICKY) === 0 || link.uid === own || link.uid === around.uid) return
  throw new KeytoolError('refused', `${path} is a link that another user put there`, { reason: 'nothing was written' })
}
