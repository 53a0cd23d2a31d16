import type { Stats } from 'node:fs'
import { lstat, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import { explain } from '../platform/file-trouble.js'
import { isOwn } from '../platform/place-check.js'
import { type FileIdentity, isThis, readToRewrite } from '../platform/read.js'
import { writeTogether } from '../platform/write.js'
import { readMark, wholeBytes } from './mark.js'
import type { LoginFile, Traces } from './service.js'

/**
 * What stands where a file goes. `outdated`: ours, as another version or another place of this program has written it;
 * `edited`: ours, but changed since; `foreign`: not ours.
 */
export type FileState = 'missing' | 'same' | 'outdated' | 'edited' | 'foreign'

export interface FoundFile {
  readonly file: LoginFile
  readonly state: FileState
  /** Whether what it says of this program is what it should say. */
  readonly namesProgram: boolean
  /** How many folders above it are there because of it, or would be. */
  readonly folders: number
  readonly identity?: FileIdentity
}

/** The files of login services, and nothing else of the disk. */
export interface LoginDisk {
  /** @throws KeytoolError `refused` where a link, or anything of another user's, is in the way; `failed` */
  look(file: LoginFile): Promise<FoundFile>
  /** Puts them in the place of what was found there, all or none. Throws as `writeTogether`. */
  write(files: readonly FoundFile[]): Promise<void>
  /** Removes what was found, and the folders that were made for it, as far as they are empty. */
  remove(file: FoundFile): Promise<void>
  /** Whether anything is there, a link that leads nowhere included. */
  isThere(path: string): Promise<boolean>
  /** Removes a link, if it is one, and its folder, if it is empty then. Says whether it did. */
  removeLink(path: string): Promise<boolean>
  /** Those that are there, and plain files of the user's. */
  findTraces(traces: Traces): Promise<string[]>
  /** Removes them, and their folders, as far as they are empty then. Says which. */
  removeTraces(traces: Traces): Promise<string[]>
}

export const loginDisk: LoginDisk = { look, write, remove, isThere, removeLink, findTraces, removeTraces }

/** Far above what is written. In bytes. */
const MAX_SIZE = 256 * 1024
const WRITE_BY_ALL = 0o002
const STICKY = 0o1000

async function look(file: LoginFile): Promise<FoundFile> {
  const { path } = file
  const folders = await checkWay(path)
  const stats = await statsOf(path)
  if (!stats) return { file, state: 'missing', namesProgram: false, folders }
  if (stats.isSymbolicLink()) throw refusal(path, 'it is a link', 'move it away first')
  if (!stats.isFile()) throw refusal(path, 'something that is not a file is there', 'move it away first')
  if (!isOwn(stats)) throw refusal(path, 'it belongs to another user')
  const { bytes, identity } = await readToRewrite(path, MAX_SIZE)
  const found = readMark(bytes, file)
  if (!found) return { file, state: 'foreign', namesProgram: false, folders: 0, identity }
  const isSame = found.text === file.text
  return {
    file,
    state: found.isEdited ? 'edited' : isSame ? 'same' : 'outdated',
    namesProgram: found.text.includes(file.essential ?? ''),
    folders: found.folders,
    identity,
  }
}

/** Counts the folders that are missing. What is there has to be a folder of the user's that not everybody can change. */
async function checkWay(path: string): Promise<number> {
  let missing = 0
  for (let each = dirname(path); ; each = dirname(each)) {
    const stats = await stat(each).catch(error => unlessMissing(error, each))
    if (stats) {
      if (!stats.isDirectory()) throw refusal(path, `${each} is not a folder`)
      if (!isOwn(stats)) throw refusal(path, `${each} belongs to another user`)
      if ((stats.mode & WRITE_BY_ALL) !== 0 && (stats.mode & STICKY) === 0) {
        throw refusal(path, `everybody can change what is in ${each}`, `chmod o-w ${each}`)
      }
      return missing
    }
    if (await statsOf(each)) throw refusal(path, `${each} is a link that leads nowhere`)
    if (each === dirname(each)) return missing
    missing++
  }
}

async function write(files: readonly FoundFile[]): Promise<void> {
  await writeTogether(
    files.map(({ file, folders, identity }) => ({
      path: file.path,
      bytes: wholeBytes(file, folders),
      ...(identity && { replace: true, expects: identity }),
    })),
  )
}

async function remove({ file: { path }, folders, identity }: FoundFile): Promise<void> {
  const stats = await lstat(path, { bigint: true }).catch(error => unlessMissing(error, path))
  if (!stats) return
  if (!identity || !isThis(stats, identity)) {
    throw new KeytoolError('failed', `${path} was changed by somebody else meanwhile`, { reason: 'it is not removed' })
  }
  await unlinkThere(path)
  let folder = dirname(path)
  for (let left = folders; left > 0 && (await isRemoved(folder)); left--) folder = dirname(folder)
}

async function isThere(path: string): Promise<boolean> {
  return (await statsOf(path)) !== undefined
}

async function removeLink(path: string): Promise<boolean> {
  if (!(await statsOf(path))?.isSymbolicLink()) return false
  await unlink(path)
  await isRemoved(dirname(path))
  return true
}

async function findTraces({ files }: Traces): Promise<string[]> {
  const found: string[] = []
  for (const path of files) {
    const stats = await statsOf(path)
    if (stats?.isFile() && isOwn(stats)) found.push(path)
  }
  return found
}

async function removeTraces(traces: Traces): Promise<string[]> {
  const { files, within } = traces
  const found = await findTraces(traces)
  for (const path of found) await unlinkThere(path)
  for (const path of files) {
    let folder = dirname(path)
    while (join(folder, sep).startsWith(join(within, sep)) && (await isRemoved(folder))) folder = dirname(folder)
  }
  return found
}

async function unlinkThere(path: string): Promise<void> {
  await unlink(path).catch(error => {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT') throw new KeytoolError('failed', `${path} can't be removed: ${code}`, { cause: error })
  })
}

/** A folder with something in it stays. */
function isRemoved(folder: string): Promise<boolean> {
  return rmdir(folder).then(
    () => true,
    () => false,
  )
}

function statsOf(path: string): Promise<Stats | undefined> {
  return lstat(path).catch(error => unlessMissing(error, path))
}

function unlessMissing(error: unknown, path: string): undefined {
  const { code } = error as NodeJS.ErrnoException
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw explain(error, path, 'read')
}

function refusal(path: string, reason: string, hint?: string): KeytoolError {
  return new KeytoolError('refused', `${path} can't be written safely`, hint ? { reason, hint } : { reason })
}
