import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, mkdirSync, openSync, statSync } from 'node:fs'
import { mkdir, open, readdir, stat } from 'node:fs/promises'
import { dirname, join, parse, sep } from 'node:path'
import { explain } from './file-trouble.js'
import { followLinks } from './links.js'
import { type FileIdentity, isThis } from './read.js'

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

/** The rename itself is only safe on disk once the folder is. Windows has no such call and needs none. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(() => undefined)
  await folder?.sync().catch(() => undefined)
  await folder?.close()
}

/** A folder that files are put into: the one that was found, even when its name comes to mean another one. */
export interface HeldFolder {
  /** What leads to a file in it while it is held. */
  at(name: string): string
  /** Whether `at` still leads into it. */
  isSame(): boolean
  release(): void
}

/**
 * The folder that a path without links names, and no other; what is missing of it is made, 0700. Undefined when there is a
 * link by now.
 */
export async function holdFolder(path: string, platform: string = process.platform): Promise<HeldFolder | undefined> {
  if (platform === 'linux' && lstatSync('/proc/self/fd', { throwIfNoEntry: false })) return holdByHandle(path)
  await makeEach(path)
  // Windows has no owners to be told apart by, and numbers no folder lastingly on every drive.
  if (platform === 'win32') return { at: name => join(path, name), isSame: () => true, release: () => undefined }
  return holdByName(path)
}

/** Linux's O_PATH, which node doesn't name: a folder is held even where it may not be listed. */
const O_PATH = 0x20_0000

/**
 * Goes down name by name, each looked up in the folder before it, never through a link. What node can't say, "in the folder
 * of this handle" (openat, renameat), the name of the handle in /proc says.
 */
function holdByHandle(path: string): HeldFolder | undefined {
  const flags = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW
  const { root } = parse(path)
  let handle = openSync(root, flags)
  const at = (name: string) => `/proc/self/fd/${handle}/${name}`
  for (const name of path.slice(root.length).split(sep)) {
    if (name === '') continue
    const above = handle
    try {
      handle = openOrMake(at(name), flags)
    } catch (error) {
      if (!lstatSync(at(name), { throwIfNoEntry: false })?.isSymbolicLink()) throw error
      return undefined
    } finally {
      closeSync(above)
    }
  }
  return { at, isSame: () => true, release: () => closeSync(handle) }
}

/** A folder in one that is held. Made by its name there, so that it appears nowhere else. */
function openOrMake(path: string, flags: number): number {
  try {
    return openSync(path, flags)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    try {
      mkdirSync(path, { mode: 0o700 })
    } catch (trouble) {
      // Whoever was quicker has made the same.
      if ((trouble as NodeJS.ErrnoException).code !== 'EEXIST') throw trouble
    }
    return openSync(path, flags)
  }
}

/** Elsewhere the name has to do. It is looked at again each time, which leaves a moment in between. */
async function holdByName(path: string): Promise<HeldFolder | undefined> {
  // While it is open, no other folder gets its number.
  const handle = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  const held: FileIdentity = fstatSync(handle, { bigint: true })
  const isSame = () => isThis(look(path), held)
  if ((await followLinks(path, true)) === path && isSame()) {
    return { at: name => join(path, name), isSame, release: () => closeSync(handle) }
  }
  closeSync(handle)
  return undefined
}

function look(path: string): BigIntStats | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })
}
