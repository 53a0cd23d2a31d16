import { randomBytes } from 'node:crypto'
import { rename, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { isRunning, readIfThere, startOf, writeWhole } from '@keytool/agent/platform'
import { isKeytoolError, KeytoolError, showForeign } from '@keytool/keygen'

/** In bytes. */
const MAX_LOCK = 4096
/** How often a lock that nobody holds any more is taken away, before somebody is taken to hold it. */
const TRIES = 5

interface Holder {
  readonly pid: number
  readonly host: string
  /** When it began, in the system's own way: two processes of one number differ in it. */
  readonly start?: string
}

/**
 * Keeps others of our programs from the same work, for as long as it takes: the lock is a file that names its holder. One
 * whose holder is gone is taken away.
 * @param what it keeps others from, for people: `this key is being rotated`
 * @returns what gives it back
 * @throws KeytoolError `refused` while somebody holds it, `failed` when it can't be made
 */
export async function takeLock(path: string, what: string): Promise<() => Promise<void>> {
  const start = startOf(process.pid)
  const holder = { pid: process.pid, host: hostname(), ...(start !== undefined && { start }) }
  const bytes = Buffer.from(`${JSON.stringify({ ...holder, token: randomBytes(8).toString('hex') })}\n`)
  for (let left = TRIES; ; left--) {
    try {
      await writeWhole(path, bytes)
      return () => removeOwn(path, bytes)
    } catch (error) {
      if (!isKeytoolError(error) || error.code !== 'exists') throw error
      const held = await readIfThere(path, MAX_LOCK)
      if (held && (left === 0 || !isStale(held))) throw isHeld(path, held, what)
      if (held) await removeStale(path, held)
      else if (left === 0) throw error
    }
  }
}

async function removeOwn(path: string, bytes: Buffer): Promise<void> {
  const there = await readIfThere(path, MAX_LOCK).catch(() => undefined)
  if (there?.equals(bytes)) await unlink(path).catch(() => {})
}

/** Two who find it stale: only what they looked at is taken away, and a lock that was taken since is put back. */
async function removeStale(path: string, seen: Buffer): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await rename(path, aside)
  } catch {
    return
  }
  const moved = await readIfThere(aside, MAX_LOCK).catch(() => undefined)
  if (moved && !moved.equals(seen)) await writeWhole(path, moved).catch(() => {})
  await unlink(aside).catch(() => {})
}

function isStale(bytes: Buffer): boolean {
  const holder = readHolder(bytes)
  if (!holder) return false
  // Another machine's, in a home that machines share, can't be asked.
  if (holder.host !== hostname()) return false
  if (!isRunning(holder.pid)) return true
  const start = startOf(holder.pid)
  return holder.start !== undefined && start !== undefined && holder.start !== start
}

function readHolder(bytes: Buffer): Holder | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof value !== 'object' || value === null) return undefined
    const { pid, host, start } = value as Partial<Record<keyof Holder, unknown>>
    if (typeof pid !== 'number' || !Number.isInteger(pid) || pid < 1 || typeof host !== 'string') return undefined
    return { pid, host, ...(typeof start === 'string' && { start }) }
  } catch {
    return undefined
  }
}

function isHeld(path: string, bytes: Buffer, what: string): KeytoolError {
  const holder = readHolder(bytes)
  const who = holder ? `by process ${holder.pid} on ${showForeign(holder.host, 64)}` : 'by a program that is not known'
  return new KeytoolError('refused', `${what} already, ${who}`, {
    reason: 'nothing was changed',
    hint: `wait for it; if there is no such program any more, remove ${path}`,
  })
}
