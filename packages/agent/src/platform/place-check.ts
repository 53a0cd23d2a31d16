import type { Stats } from 'node:fs'
import { lstat, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { KeytoolError } from '@keytool/keygen'

const GROUP_AND_OTHERS = 0o077
const WRITE_BY_OTHERS = 0o022
const WRITE_BY_ALL = 0o002
const STICKY = 0o1000

export interface PlaceOptions {
  /**
   * The user named the place: then its folder may be one that others can look into, such as /tmp, as long as they
   * can't put anything of theirs in the socket's stead. Default false: the folder is the user's alone.
   */
  readonly named?: boolean
}

/**
 * Makes sure that whoever answers at this place is a program of the user's own: to be called before connecting, since
 * the first thing that is said there may be a key.
 *
 * @returns whether a socket of ours is there. If not, nobody may connect: what comes next may be another's. One of ours
 * can't be exchanged by others, the folders being as they are.
 * @throws KeytoolError `refused` when the folder or the socket is another's, is a link, or is open to others;
 * `unreachable` when it can't be looked at
 */
export async function checkPlace(
  path: string,
  { named = false }: PlaceOptions = {},
  system: string = process.platform,
): Promise<boolean> {
  // A pipe has no folder, and its name is its first owner's alone.
  if (system === 'win32') return true
  return (await checkFolder(dirname(path), named)) && (await checkSocket(path))
}

/**
 * The folder itself, not what a link leads to: nobody else can get in, or change what is in it. False when there is none.
 * @throws KeytoolError `refused`
 */
export async function checkFolder(folder: string, named: boolean): Promise<boolean> {
  if (!named) await checkParent(folder)
  const link = await lookAt(folder)
  if (!link) return false
  // What root links, such as /tmp on macOS, is as good as the folder itself.
  const isRootsLink = named && link.isSymbolicLink() && link.uid === 0
  if (link.isSymbolicLink() && !isRootsLink) throw refusal(folder, 'it is a link')
  const stats = isRootsLink ? await stat(folder) : link
  if (!stats.isDirectory()) throw refusal(folder, 'it is not a folder')
  const isRoots = named && stats.uid === 0
  if (!isOwn(stats) && !isRoots) throw refusal(folder, 'it belongs to another user')
  // In a sticky folder (/tmp) everybody may add, but only the owner may move or remove what is theirs.
  const isSticky = (stats.mode & STICKY) !== 0
  const forbidden = named ? (isSticky ? 0 : WRITE_BY_OTHERS) : GROUP_AND_OTHERS
  if ((stats.mode & forbidden) !== 0) {
    const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0')
    throw refusal(folder, `others can get in (${mode})`, `chmod 700 ${folder}`)
  }
  return true
}

/**
 * What our own folder lies in, or would be made in: of the user or of root, so that nobody can exchange our folder for
 * theirs, and so that root, with a user's environment, leaves nothing of its own in that user's way.
 */
async function checkParent(folder: string): Promise<void> {
  for (let each = dirname(folder); ; each = dirname(each)) {
    const stats = await stat(each).catch(error => throwUnlessMissing(each, error))
    if (!stats) continue
    if (!isOwn(stats) && stats.uid !== 0) throw refusal(folder, `${each} belongs to another user`)
    if ((stats.mode & WRITE_BY_ALL) !== 0 && (stats.mode & STICKY) === 0) {
      throw refusal(folder, `everybody can change what is in ${each}`, `chmod o-w ${each}`)
    }
    return
  }
}

/**
 * A socket of ours, alive or dead. False when nothing is there.
 * @throws KeytoolError `refused`
 */
export async function checkSocket(path: string): Promise<boolean> {
  const stats = await lookAt(path)
  if (!stats) return false
  if (stats.isSymbolicLink()) throw refusal(path, 'it is a link')
  if (!stats.isSocket()) throw refusal(path, 'something that is not a socket is there', 'move it away first')
  if (!isOwn(stats)) throw refusal(path, 'it belongs to another user')
  return true
}

export function isOwn({ uid }: { readonly uid: number }): boolean {
  return process.getuid === undefined || uid === process.getuid()
}

function lookAt(path: string): Promise<Stats | undefined> {
  return lstat(path).catch(error => throwUnlessMissing(path, error))
}

function throwUnlessMissing(path: string, error: unknown): undefined {
  // A part of the way that is no folder is as good as nothing: nobody can be connected to behind it.
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
  const reason = code === 'EACCES' || code === 'EPERM' ? 'permission denied' : String(code)
  throw new KeytoolError('unreachable', `${path} can't be looked at`, { reason, cause: error })
}

function refusal(path: string, reason: string, hint?: string): KeytoolError {
  return new KeytoolError('refused', `${path} can't hold the agent's socket`, hint ? { reason, hint } : { reason })
}
