import type { Stats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { KeytoolError } from '@keytool/keygen'

const GROUP_AND_OTHERS = 0o077
const WRITE_BY_OTHERS = 0o022
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
 * the first thing that is said there may be a key. A place where nothing is passes.
 *
 * @throws KeytoolError `refused` when the folder or the socket is another's, is a link, or is open to others
 */
export async function checkPlace(
  path: string,
  { named = false }: PlaceOptions = {},
  system: string = process.platform,
): Promise<void> {
  // A pipe has no folder, and its name is its first owner's alone.
  if (system === 'win32') return
  if (await checkFolder(dirname(path), named)) await checkSocket(path)
}

/**
 * The folder itself, not what a link leads to: nobody else can get in, or change what is in it. False when there is none.
 * @throws KeytoolError `refused`
 */
export async function checkFolder(folder: string, named: boolean): Promise<boolean> {
  const stats = await lookAt(folder)
  if (!stats) return false
  if (stats.isSymbolicLink()) throw refusal(folder, 'it is a link')
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

async function lookAt(path: string): Promise<Stats | undefined> {
  return lstat(path).catch(error => {
    // A part of the way that is no folder is as good as nothing: nobody can be connected to behind it.
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new KeytoolError('failed', `${path} can't be looked at: ${code}`, { cause: error })
  })
}

function refusal(path: string, reason: string, hint?: string): KeytoolError {
  return new KeytoolError('refused', `${path} can't hold the agent's socket`, hint ? { reason, hint } : { reason })
}
