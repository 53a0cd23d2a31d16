import { randomBytes } from 'node:crypto'
import {
  type BigIntStats,
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsync,
  linkSync,
  lstatSync,
  openSync,
  readSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname } from 'node:path'
import { promisify } from 'node:util'
import { KeytoolError } from '@keytool/keygen'
import { alreadyThere, explain } from './file-trouble.js'
import { type HeldFolder, holdFolder, syncFolder } from './folders.js'
import { followLinks, fullPath } from './links.js'
import { type FileIdentity, isThis } from './read.js'
import { discard, remember, removeIfThere } from './temporaries.js'

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
  /** The only file that may be replaced, as it was when it was read. */
  readonly expects?: FileIdentity
}

/**
 * Writes a file whole or not at all: a temporary file beside it, fsync, then one rename. A link stays a link: what it
 * points to is replaced. Folders on the way are made, 0700.
 * @throws KeytoolError `exists` when it is there and may not be replaced; `refused` for a link of another user's to what
 * is not theirs; `failed` when it can't be written, or is not the file that is expected any more
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
  const folders: Folders = new Map()
  try {
    await writeInto(folders, files)
    const held = await Promise.all(folders.values())
    await Promise.all(held.map(folder => syncFolder(folder.at('.'))))
  } finally {
    for (const folder of await Promise.allSettled(folders.values())) {
      if (folder.status === 'fulfilled') folder.value.release()
    }
  }
}

async function writeInto(folders: Folders, files: readonly FileToWrite[]): Promise<void> {
  const staged: Staged[] = []
  const placed: Staged[] = []
  try {
    await stageAll(files, staged, folders)
    for (const each of staged) checkExpected(each)
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
    for (const { temporary } of Object.values(staged)) discard(temporary)
  }
}

/** How many files are open and being synced together; any system allows far more. */
const STAGED_AT_ONCE = 64

interface Staged {
  /** As the caller named it, for errors. */
  readonly path: string
  /** Where the end of the links is. */
  readonly folder: HeldFolder
  /** What takes the file: the end of the links. Leads there while the folder is held, as `temporary` does. */
  readonly target: string
  readonly temporary: string
  /** Which file `temporary` is. */
  readonly fresh: FileIdentity
  readonly replace: boolean
  readonly expects: FileIdentity | undefined
}

/** The folders of one call, by their names: each is looked for, and made, once. */
type Folders = Map<string, Promise<HeldFolder>>

/** Fills `staged` in the order of the files. After a failure no other file is begun, and none is under way any more. */
async function stageAll(files: readonly FileToWrite[], staged: Staged[], folders: Folders): Promise<void> {
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

async function stage(file: FileToWrite, folders: Folders): Promise<Staged> {
  const { path, replace = false, expects } = file
  if (path === '') throw new KeytoolError('usage', 'the name of a file is empty')
  const { folder, name } = await findTarget(path, replace, folders).catch(error => {
    throw explain(error, path, 'written')
  })
  const target = folder.at(name)
  const temporary = folder.at(`.${name}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    const there = look(target)
    if (there && !replace) throw alreadyThere(path)
    if (there?.isDirectory()) throw new KeytoolError('failed', `${path} can't be written: it is a folder`)
    // A device or a pipe is somebody's way to something; what is renamed over it is none.
    if (there && !there.isFile()) throw new KeytoolError('failed', `${path} can't be written: it is no plain file`)
    if (!folder.isSame() || (expects && !isThis(there, expects))) throw isChanged(path)
    remember(temporary)
    const fresh = await fillNew(temporary, file, there)
    return { path, folder, target, temporary, fresh, replace, expects }
  } catch (error) {
    discard(temporary)
    throw explain(error, path, 'written')
  }
}

function look(path: string): BigIntStats | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })
}

function checkExpected({ path, target, expects }: Staged): void {
  if (expects && !isThis(look(target), expects)) throw isChanged(path)
}

function isChanged(path: string): KeytoolError {
  return new KeytoolError('failed', `${path} was changed by somebody else meanwhile`, { reason: 'nothing was changed' })
}

/** Gives the file its name. In one go, so that nothing else happens between those of one call. */
function place(staged: Staged): void {
  const { path, folder, target, temporary, fresh, replace } = staged
  try {
    if (!folder.isSame() || !isThis(look(temporary), fresh)) throw isChanged(path)
    checkExpected(staged)
    if (replace) renameSync(temporary, target)
    else moveToNew(temporary, target)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw alreadyThere(path, error)
    throw explain(error, path, 'written')
  }
}

/** Where the file goes. The folder it is to be in is there afterwards. */
async function findTarget(
  path: string,
  replace: boolean,
  folders: Folders,
): Promise<{ folder: HeldFolder; name: string }> {
  const full = fullPath(path)
  const named = { folder: await findFolder(dirname(full), path, folders), name: basename(full) }
  // Without leave to replace, a link in the file's own place is in the way; those on the way there are followed.
  if (!replace || !look(named.folder.at(named.name))?.isSymbolicLink()) return named
  const end = await followLinks(full)
  return { folder: await findFolder(dirname(end), path, folders), name: basename(end) }
}

function findFolder(name: string, path: string, folders: Folders): Promise<HeldFolder> {
  const known = folders.get(name)
  if (known) return known
  const found = followAndMake(name, path)
  folders.set(name, found)
  return found
}

async function followAndMake(name: string, path: string): Promise<HeldFolder> {
  const folder = await followLinks(name, true)
  const held = await holdFolder(folder)
  if (!held) throw isChanged(path)
  return held
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

async function fillNew(
  path: string,
  { bytes, mode = 0o600, check, expects }: FileToWrite,
  old: BigIntStats | undefined,
): Promise<FileIdentity> {
  const file = openSync(path, 'wx+', mode)
  try {
    // What root rewrites still belongs to whose it was. A fresh secret belongs to nobody who had put a file there before.
    const keepsOwner = expects !== undefined || (mode & 0o044) !== 0
    if (old && keepsOwner && process.getuid?.() === 0) fchownSync(file, Number(old.uid), Number(old.gid))
    // The umask may have taken bits away; a public key should be 0644 all the same.
    fchmodSync(file, mode)
    writeFileSync(file, bytes)
    await syncToDisk(file)
    // By the handle: the name may be another file's by now.
    await check?.(readBack(file, bytes.length))
    const { dev, ino } = fstatSync(file, { bigint: true })
    return { dev, ino }
  } finally {
    closeSync(file)
  }
}

/** What a file of so many bytes holds; one byte more shows that it holds more. */
function readBack(file: number, length: number): Buffer {
  const back = Buffer.alloc(length + 1)
  let total = 0
  for (let read = -1; read !== 0 && total < back.length; total += read) {
    read = readSync(file, back, total, back.length - total, total)
  }
  return back.subarray(0, total)
}
