import { stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { listFolder, readPlain } from '@keytool/agent/platform'
import {
  type Inspected,
  inspectKeys,
  isKeytoolError,
  KeytoolError,
  looksLikeKey,
  type PublicKey,
} from '@keytool/keygen'
import type { Context } from '../../context.js'
import { withCommentBeside } from '../../files.js'

/** A file with a key in it, or one that should have one. */
export interface KeyFileFound {
  readonly path: string
  readonly what: Inspected & { readonly kind: 'private' | 'public' | 'certificate' }
  readonly stats: FileStats
}

/** A folder of keys, or a file whose key can't be read. */
export interface PlaceFound {
  readonly path: string
  readonly kind: 'folder' | 'unreadable'
  readonly stats?: FileStats
  /** Why it can't be read. */
  readonly error?: KeytoolError
}

export interface FileStats {
  /** Permissions alone. */
  readonly mode: number
  readonly uid: number
}

export interface KeyFilesFound {
  readonly files: readonly KeyFileFound[]
  readonly others: readonly PlaceFound[]
}

/** Files that hold keys of others, and are read as lists. */
const LISTS = /^(authorized_keys|(ssh_)?known_hosts|allowed_signers|revoked_keys)/

/**
 * The keys in these files, and in the files of these folders. In a folder much is no key, and passed over; what begins
 * like one and can't be read is among the others.
 * @param by `name`: a file that somebody named is one, or an error; `chance`: it is among the others
 * @throws KeytoolError for a path that was named and is not there (`not-found`), can't be read, or is no key
 */
export async function findKeyFiles(paths: readonly string[], by: 'name' | 'chance'): Promise<KeyFilesFound> {
  const files: KeyFileFound[] = []
  const others: PlaceFound[] = []
  const seen = new Set<string>()
  const isNew = (path: string) => !seen.has(resolve(path)) && seen.add(resolve(path))
  for (const path of paths) {
    const stats = await statOf(path)
    if (stats?.isDirectory) {
      others.push({ path, kind: 'folder', stats })
      for (const name of await listFolder(path)) {
        const file = join(path, name)
        if (LISTS.test(name) || !isNew(file) || (await statOf(file))?.isFile !== true) continue
        note(await readQuietly(file, false))
      }
    } else if (isNew(path)) note(by === 'name' ? await readKeyFile(path) : await readQuietly(path, true))
  }
  return { files, others }

  function note(found: KeyFileFound[] | PlaceFound | undefined): void {
    if (Array.isArray(found)) files.push(...found)
    else if (found) others.push(found)
  }
}

/** Whether some file is this key's: the key, its public half or a certificate of it. */
export function isOfKey({ what }: KeyFileFound, key: Pick<PublicKey, 'blob'>): boolean {
  return what.public?.plain.blob.equals(key.blob) === true
}

/** Whether the private half of a key is among the files: a file that hides its public half goes by the `.pub` beside it. */
export function hasPrivateHalf(files: readonly KeyFileFound[], key: Pick<PublicKey, 'blob'>): boolean {
  const besides = new Map(files.map(({ path, what }) => [path, what.public?.plain]))
  return files.some(({ path, what }) => {
    if (what.kind !== 'private') return false
    const shown = what.public ?? besides.get(`${path}.pub`)
    // One that nothing tells anything of may be anybody's.
    return !shown || shown.blob.equals(key.blob)
  })
}

async function readQuietly(path: string, isMeant: boolean): Promise<KeyFileFound[] | PlaceFound | undefined> {
  let bytes: Buffer | undefined
  try {
    return await readKeyFile(path, async () => (bytes = await readPlain(path)))
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    const isKey = bytes ? looksLikeKey(bytes) || path.endsWith('.pub') : error.code === 'failed'
    return isKey || isMeant ? { path, kind: 'unreadable', error } : undefined
  }
}

async function readKeyFile(path: string, read = () => readPlain(path)): Promise<KeyFileFound[]> {
  const bytes = await read()
  const stats = await statOf(path)
  const found: KeyFileFound[] = []
  for (const what of await inspectKeys(bytes, { fileName: basename(path) })) {
    if (what.kind === 'private' && what.format !== 'ssh1' && what.public) {
      const key = await withCommentBeside(path, what.public)
      found.push({ path, what: { ...what, public: key }, stats: stats ?? { mode: 0, uid: -1 } })
    } else if (what.kind === 'private' || what.kind === 'public' || what.kind === 'certificate') {
      found.push({ path, what: what as KeyFileFound['what'], stats: stats ?? { mode: 0, uid: -1 } })
    }
  }
  if (found.length > 0) return found
  throw new KeytoolError('unsupported', `${path}: there is no key of one's own in it`, {
    hint: 'an authorized_keys file is looked into on its server: keytool audit --remote HOST',
  })
}

async function statOf(path: string): Promise<(FileStats & { isDirectory: boolean; isFile: boolean }) | undefined> {
  const stats = await stat(path).catch(() => undefined)
  return (
    stats && { mode: stats.mode & 0o7777, uid: stats.uid, isDirectory: stats.isDirectory(), isFile: stats.isFile() }
  )
}

/** Where keys of this user's may lie, beside those that were named: `~/.ssh`, PuTTY's folder, and files that rules and sessions name. */
export async function usualPlaces({ places }: Context, named: readonly string[]): Promise<string[]> {
  const folders: string[] = []
  for (const folder of [places.ssh, join(places.home, '.putty')]) {
    if ((await statOf(folder))?.isDirectory) folders.push(folder)
  }
  const others: string[] = []
  for (const file of new Set(named.map(path => resolve(path)))) {
    if (!folders.includes(dirname(file)) && (await statOf(file))?.isFile) others.push(file)
  }
  return [...folders, ...others]
}
