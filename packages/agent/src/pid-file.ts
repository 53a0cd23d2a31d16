import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import { makeFolder } from './platform/folders.js'
import { isOwn } from './platform/place-check.js'

/** What a running agent says of itself, beside its socket. */
export interface PidFile {
  readonly version: 1
  readonly pid: number
  readonly socket: string
  /** When it started, in ISO 8601. */
  readonly since: string
  /** What `startOf` says of its process: tells it from a later one with its number. */
  readonly start: string | undefined
}

const MAX_SIZE = 64 * 1024
const ISO_8601 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/

/**
 * `agent.pid` beside `agent.sock`, and beside any other a name that no other program's pid file has. On Windows, where
 * there is nothing beside a pipe, the caller has to name a place.
 */
export function pidFileBeside(socket: string): string {
  const name = basename(socket)
  return join(dirname(socket), name === 'agent.sock' ? 'agent.pid' : `${name}.keytool.pid`)
}

/**
 * Writes the file whole. In a folder like /tmp anything may stand in its place: only a pid file that an agent of ours
 * left is replaced, and no link is followed.
 * @throws KeytoolError `refused` when anything else is there; `failed` when it can't be written
 */
export async function writePidFile(path: string, facts: Omit<PidFile, 'version'>): Promise<void> {
  const file: PidFile = { version: 1, ...facts }
  await makeFolder(dirname(path))
  if (!(await isReplaceable(path))) {
    throw new KeytoolError('refused', `${path} can't hold the agent's pid`, {
      reason: "something that is no pid file of the user's agent is there",
      hint: 'move it away first',
    })
  }
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    await fill(temporary, `${JSON.stringify(file)}\n`)
    // Renaming puts the file in the place of whatever has the name by now, a link too, and follows nothing.
    await rename(temporary, path)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new KeytoolError('failed', `${path} can't be written: ${code}`, { cause })
  } finally {
    await rm(temporary, { force: true })
  }
}

/**
 * What the file says, or undefined when there is none, it makes no sense, or it is not ours: it is a help, never a
 * proof, and in a folder like /tmp anybody may have put it there.
 */
export async function readPidFile(path: string): Promise<PidFile | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0))
    try {
      const stats = await file.stat()
      if (!stats.isFile() || !isOwn(stats) || stats.size > MAX_SIZE) return undefined
      const value: unknown = JSON.parse(await file.readFile('utf8'))
      return isPidFile(value) ? value : undefined
    } finally {
      await file.close()
    }
  } catch {
    return undefined
  }
}

/** Removes the file unless it speaks of another agent by now. */
export async function removePidFile(path: string, pid: number): Promise<void> {
  if ((await readPidFile(path))?.pid === pid) await rm(path, { force: true })
}

async function isReplaceable(path: string): Promise<boolean> {
  const stats = await lstat(path).catch(() => undefined)
  if (stats === undefined) return true
  if (!stats.isFile() || !isOwn(stats)) return false
  // An empty one under a name of ours is what a crash of the machine leaves of a file that was just written.
  return (stats.size === 0 && OUR_NAME.test(basename(path))) || (await readPidFile(path)) !== undefined
}

/** As {@link pidFileBeside} gives them. */
const OUR_NAME = /^agent\.pid$|\.keytool\.pid$/

async function fill(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.chmod(0o600)
    await file.writeFile(text)
    // Half a file would be no pid file, and in the way of every start after the machine's next.
    await file.sync()
  } finally {
    await file.close()
  }
}

function isPidFile(value: unknown): value is PidFile {
  if (typeof value !== 'object' || value === null) return false
  const { version, pid, socket, since, start } = value as Record<string, unknown>
  const isPid = typeof pid === 'number' && Number.isInteger(pid) && pid > 0
  const isStart = start === undefined || typeof start === 'string'
  return version === 1 && isPid && typeof socket === 'string' && isTime(since) && isStart
}

function isTime(value: unknown): boolean {
  return typeof value === 'string' && ISO_8601.test(value) && !Number.isNaN(Date.parse(value))
}
