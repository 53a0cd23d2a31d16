import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
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
import { lstat, mkdir, open, readdir, readlink, stat } from 'node:fs/promises'
import { basename, dirname, join, parse, resolve, sep } from 'node:path'
import { promisify } from 'node:util'
import { KeytoolError } from '@keytool/keygen'

/** Far above any key, session or known_hosts file; what is larger is not one. In bytes. */
const MAX_FILE = 16 * 1024 * 1024

/**
 * The whole of what the user named: a file, a pipe or a device.
 * @throws KeytoolError `not-found`; `damaged` for a folder or something huge; `failed` when it can't be read
 */
export function readWhole(path: string, cap: number = MAX_FILE): Promise<Buffer> {
  return read(path, cap, constants.O_RDONLY)
}

/**
 * Like {@link readWhole} for a path that nobody named, but that is looked at by itself (a `.pub` beside a key, a session,
 * known_hosts): only a plain file counts, so that a pipe put there keeps nobody waiting.
 */
export function readPlain(path: string, cap: number = MAX_FILE): Promise<Buffer> {
  // Opening a pipe waits for its other end, unless it is told not to.
  return read(path, cap, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0), true)
}

async function read(path: string, cap: number, flags: number, onlyPlain = false): Promise<Buffer> {
  if (path === '') throw new KeytoolError('usage', 'the name of a file is empty')
  const file = await open(path, flags).catch(error => {
    throw explain(error, path, 'read')
  })
  try {
    const stats = await file.stat()
    if (stats.isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' })
    // A device answers at once, and /dev/null is a way to say "none".
    if (onlyPlain && !stats.isFile() && !stats.isCharacterDevice()) {
      throw new KeytoolError('damaged', `${path} is no plain file`)
    }
    const parts: Buffer[] = []
    let total = 0
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(64 * 1024))
      if (bytesRead === 0) break
      total += bytesRead
      if (total > cap) {
        throw new KeytoolError('damaged', `${path} is larger than ${cap} bytes, so it is not what it should be`)
      }
      parts.push(buffer.subarray(0, bytesRead))
    }
    return Buffer.concat(parts)
  } catch (error) {
    throw explain(error, path, 'read')
  } finally {
    await file.close()
  }
}

/** Like {@link readPlain}, but a file that is not there is `undefined`. */
export async function readIfThere(path: string, cap?: number): Promise<Buffer | undefined> {
  try {
    return await readPlain(path, cap)
  } catch (error) {
    if (error instanceof KeytoolError && error.code === 'not-found') return undefined
    throw error
  }
}

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
    await check?.(await read(temporary, MAX_FILE, constants.O_RDONLY))
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

/**
 * Where a path leads once every link on it is followed, even if nothing is there yet. A link that another user put into a
 * folder where everybody may put things is not followed: it would have us write where that user wants (what Linux
 * calls protected_symlinks).
 */
async function followLinks(path: string, isFolder = false): Promise<string> {
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

/** As Linux counts. */
const MOST_LINKS = 40
const STICKY = 0o1000

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

async function makeEach(path: string, mayClimb = true): Promise<void> {
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

/** The rename itself is only safe on disk once the folder is. Windows has no such call and needs none. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined)
  await folder?.sync().catch(() => undefined)
  await folder?.close()
}

const causes: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  EROFS: 'the file system is read-only',
  ENOENT: 'the folder it should be in is not there',
  ENOTDIR: 'a part of the path is not a folder',
  ELOOP: 'too many links on the way',
  ENAMETOOLONG: 'the name is too long',
}

function explain(error: unknown, path: string, what: 'read' | 'written' | 'made'): KeytoolError {
  if (error instanceof KeytoolError) return error
  const code = String((error as NodeJS.ErrnoException).code)
  if (code === 'ENOENT' && what === 'read') {
    return new KeytoolError('not-found', `${path} is not there`, { cause: error })
  }
  if (code === 'EISDIR' && what === 'read') {
    return new KeytoolError('damaged', `${path} is a folder, not a file`, { cause: error })
  }
  return new KeytoolError('failed', `${path} can't be ${what}: ${causes[code] ?? code}`, { cause: error })
}

function alreadyThere(path: string, cause?: unknown): KeytoolError {
  return new KeytoolError('exists', `${path} is there already`, { reason: 'nothing was written', cause })
}
