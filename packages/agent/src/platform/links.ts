import { lstatSync, readlinkSync } from 'node:fs'
import { lstat, stat } from 'node:fs/promises'
import { dirname, isAbsolute, join, parse, resolve, sep } from 'node:path'
import { KeytoolError } from '@keytool/keygen'

/** As Linux counts. */
const MOST_LINKS = 40

/** A link of another user's that was followed: where it leads to has to be that user's own. */
interface ForeignLink {
  readonly path: string
  readonly uid: number
  /** How many names are left once its end is reached. */
  readonly until: number
}

/**
 * Where a path leads once every link on it is followed, even if nothing is there yet. A link that is neither ours nor
 * root's is followed only to what belongs to the link's owner: elsewhere it would have us write where that user wants and
 * may not. Linux's protected_symlinks thinks so of folders for everybody; here it holds in every folder.
 * @throws KeytoolError `refused` for such a link; the system's own errors
 */
export async function followLinks(path: string, isFolder = false): Promise<string> {
  const full = fullPath(path)
  const { root } = parse(full)
  const left = namesOf(full, root)
  const foreign: ForeignLink[] = []
  let links = 0
  let at = root
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    // Nothing in `at` is a link, so that what stands above it is its name without the last one.
    const next = name === '..' ? dirname(at) : join(at, name)
    const link = name === '..' ? undefined : readLink(next)
    if (link === undefined) {
      at = next
    } else {
      const { to } = link
      if (++links > MOST_LINKS) throw Object.assign(new Error('too many links'), { code: 'ELOOP' })
      const uid = strangerBehind(link.uid, at)
      if (uid !== undefined) foreign.push({ path: next, uid, until: left.length })
      // A folder that a link only promises is not made.
      if (left.length > 0 || isFolder) await stat(resolve(at, to))
      left.unshift(...namesOf(to, root))
      if (isAbsolute(to)) at = root
    }
    for (let stranger = foreign.at(-1); stranger && stranger.until >= left.length; stranger = foreign.at(-1)) {
      // Looked at where the walk has come to, not where the link seemed to lead: that may have changed on the way.
      const end = await lstat(at).catch(() => undefined)
      if (end?.uid !== stranger.uid) throw isForeignLink(stranger.path)
      foreign.pop()
    }
  }
  return at
}

/** From the root on. What `..` means is left to the walk: after a link it is not the folder the link stands in. */
export function fullPath(path: string): string {
  // Windows itself takes such names out before it looks at a disk.
  if (sep === '\\') return resolve(path)
  return isAbsolute(path) ? path : `${process.cwd()}${sep}${path}`
}

function namesOf(path: string, root: string): string[] {
  const names = isAbsolute(path) ? path.slice(root.length) : path
  return names.split(sep).filter(name => name !== '' && name !== '.')
}

/** Where a link leads, and whose it is: both of the same link, whatever takes its name meanwhile. Undefined for no link. */
function readLink(path: string): { to: string; uid: number } | undefined {
  const before = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  if (!before?.isSymbolicLink()) return undefined
  const to = readlinkSync(path)
  const after = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  const isSame = after?.dev === before.dev && after.ino === before.ino && after.ctimeNs === before.ctimeNs
  if (!isSame) throw isForeignLink(path)
  return { to, uid: Number(before.uid) }
}

/**
 * The user other than us and root who may have put a link there, if any. To root the owner of the folder is one, too:
 * they may rename whatever lies in it, root's own links included.
 */
function strangerBehind(linkOwner: number, folder: string): number | undefined {
  const own = process.getuid?.()
  if (own === undefined) return undefined
  const isStranger = (uid: number) => uid !== own && uid !== 0
  if (isStranger(linkOwner)) return linkOwner
  const owner = own === 0 ? Number(lstatSync(folder, { bigint: true }).uid) : own
  return isStranger(owner) ? owner : undefined
}

function isForeignLink(path: string): KeytoolError {
  return new KeytoolError('refused', `${path} is a link that another user put there`, { reason: 'nothing was written' })
}
