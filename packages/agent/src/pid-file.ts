import { constants } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { writeWhole } from './platform/files.js'

/** What a running agent says of itself, beside its socket. */
export interface PidFile {
  readonly version: 1
  readonly pid: number
  readonly socket: string
  /** When it started, in ISO 8601. */
  readonly since: string
}

const MAX_SIZE = 64 * 1024

/** `agent.pid` beside `agent.sock`. On Windows, where there is nothing beside a pipe, the caller has to name a place. */
export function pidFileBeside(socket: string): string {
  return join(dirname(socket), `${basename(socket, '.sock')}.pid`)
}

export async function writePidFile(path: string, facts: Omit<PidFile, 'version'>): Promise<void> {
  const file: PidFile = { version: 1, ...facts }
  await writeWhole(path, Buffer.from(`${JSON.stringify(file)}\n`), { replace: true })
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
      const isOurs = process.getuid === undefined || stats.uid === process.getuid()
      if (!stats.isFile() || !isOurs || stats.size > MAX_SIZE) return undefined
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

function isPidFile(value: unknown): value is PidFile {
  if (typeof value !== 'object' || value === null) return false
  const { version, pid, socket, since } = value as Record<string, unknown>
  const isPid = typeof pid === 'number' && Number.isInteger(pid) && pid > 0
  return version === 1 && isPid && typeof socket === 'string' && typeof since === 'string'
}
