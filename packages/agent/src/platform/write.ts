import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsync,
  linkSync,
  lstatSync,
  openSync,
  renameSync,
  type Stats,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { KeytoolError } from '@keytool/keygen'
import { alreadyThere, explain } from './file-trouble.js'
import { makeEach, syncFolder } from './folders.js'
import { followLinks } from './links.js'
import { readWhole } from './read.js'

export interface WriteOptions {
  /** Permissions where the system has them. Default 0600. */
  readonly mode?: number
  /** Whether an existing file may be replaced. Default false. */
  readonly replace?: boolean
  /**
   * Looks at what was read back from the disk, before the file takes its name; what it throws leaves the old file where
   * it is.
   */
  readonly check?: (bytes: Buffer) => Promise<void>
}

/**
 * Writes a file whole or not at all: a temporary file beside it, fsync, then one rename. A link stays a link: what it
 * points to is replaced. Folders on the way are made, 0700.
 * @throws KeytoolError `exists` when it is there and may not be replaced; `failed` when it can't be written
 */
export async function writeWhole(path: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<void> {
  await writeTogether([{ path, bytes, ...options }])
}

/** A file to be written. */
export interface FileToWrite extends WriteOptions {
  readonly path: string
  readonly bytes: Uint8Array
}

/**
 * Writes several files that belong together. All are complete on disk before the first one takes its name, so that what
 * can go wrong has gone wrong before anything was replaced. Many at once cost far less than one after the other: what is
 * under way together, a disk syncs together.
 *
 * Only syncing waits for the disk, and does so in the threadpool. The rest are calls of some microseconds each; handing
 * every one of them to another thread and back takes longer than they do.
 * @throws as {@link writeWhole}
 */
export async function writeTogether(files: readonly FileToWrite[]): Promise<void> {
  const staged: Staged[] = []
  const placed: Staged[] = []
  try {
    await stageAll(files, staged)
    for (const each of staged) {
      place(each)
      placed.push(each)
    }
  } catch (error) {
    // What is new goes again; what was replaced can't come back, which is why all was ready before.
    for (const { target, replace } of placed) if (!replace) removeIfThere(target)
    throw error
  } finally {
    // A failure leaves holes where a file was never ready.
    for (const { temporary } of Object.values(staged)) removeIfThere(temporary)
  }
  await Promise.all([...new Set(staged.map(({ target }) => dirname(target)))].map(syncFolder))
}

/** How many files are open and being synced together; any system allows far more. */
const STAGED_AT_ONCE = 64

interface Staged {
  /** As the caller named it, for errors. */
  readonly path: string
  /** What takes the file: the end of the links. */
  readonly target: string
  readonly temporary: string
  readonly replace: boolean
}

/** The folders of one call, by their names: each is looked for, and made, once. */
type Folders = Map<string, Promise<string>>

/** Fills `staged` in the order of the files. After a failure no other file is begun, and none is under way any more. */
async function stageAll(files: readonly FileToWrite[], staged: Staged[]): Promise<void> {
  const folders: Folders = new Map()
  const left = eachOf(files)
  const work = async () => {
    // They share the generator: a failure closes it, and with it the loops of the others.
    for (const [i, file] of left) staged[i] = await stage(file, folders)
  }
  const workers = Array.from({ length: Math.min(STAGED_AT_ONCE, files.length) }, work)
  const failed = (await Promise.allSettled(workers)).find(each => each.status === 'rejected')
  if (failed) throw failed.reason
}

function* eachOf<T>(items: readonly T[]): Generator<[number, T]> {
  yield* items.entries()
}

async function stage(
  { path, bytes, mode = 0o600, replace = false, check }: FileToWrite,
  folders: Folders,
): Promise<Staged> {
  if (path === '') throw new KeytoolError('usage', 'the name of a file is empty')
  const target = await findTarget(path, replace, folders).catch(error => {
    throw explain(error, path, 'written')
  })
  const temporary = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    const there = lstatSync(target, { throwIfNoEntry: false })
    if (there && !replace) throw alreadyThere(path)
    if (there?.isDirectory()) throw new KeytoolError('failed', `${path} can't be written: it is a folder`)
    await fillNew(temporary, bytes, mode, there)
    await check?.(await readWhole(temporary))
    return { path, target, temporary, replace }
  } catch (error) {
    removeIfThere(temporary)
    throw explain(error, path, 'written')
  }
}

/** Gives the file its name. In one go, so that nothing else happens between those of one call. */
function place({ path, target, temporary, replace }: Staged): void {
  try {
    if (replace) renameSync(temporary, target)
    else moveToNew(temporary, target)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw alreadyThere(path, error)
    throw explain(error, path, 'written')
  }
}

/** Where the file goes. The folder it is to be in is there afterwards. */
async function findTarget(path: string, replace: boolean, folders: Folders): Promise<string> {
  const named = dirname(resolve(path))
  const folder = folders.get(named) ?? followAndMake(named)
  folders.set(named, folder)
  const target = join(await folder, basename(resolve(path)))
  // Without leave to replace, a link in the file's own place is in the way; those on the way there are followed.
  if (!replace || !lstatSync(target, { throwIfNoEntry: false })?.isSymbolicLink()) return target
  const end = await followLinks(path)
  await makeEach(dirname(end))
  return end
}

async function followAndMake(path: string): Promise<string> {
  const folder = await followLinks(path, true)
  await makeEach(folder)
  return folder
}

/** Gives the file its name unless something has it: link refuses that in one step, where rename would not. */
function moveToNew(temporary: string, target: string): void {
  try {
    linkSync(temporary, target)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined || !noLinks.has(code)) throw error
    // A file system without links (FAT, some network ones): the name is taken first, and then replaced.
    closeSync(openSync(target, 'wx'))
    renameSync(temporary, target)
  }
}

const noLinks: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

const syncToDisk = promisify(fsync)

async function fillNew(path: string, bytes: Uint8Array, mode: number, old: Stats | undefined): Promise<void> {
  const file = openSync(path, 'wx', mode)
  try {
    // What root replaces still belongs to whose it was.
    if (old && process.getuid?.() === 0) fchownSync(file, old.uid, old.gid)
    // The umask may have taken bits away; a public key should be 0644 all the same.
    fchmodSync(file, mode)
    writeFileSync(file, bytes)
    await syncToDisk(file)
  } finally {
    closeSync(file)
  }
}

/** Removes a file that may never have come to be. Where that fails, it must not hide what failed before. */
function removeIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // It is gone already, or whatever kept it from being written keeps it from being removed.
  }
}
