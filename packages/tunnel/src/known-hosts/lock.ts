import { open, stat, unlink } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { isRunning, readIfThere } from '@keytool/agent/platform'
import { KeytoolError } from '@keytool/keygen'
import { explain } from './own-file.js'

/** In milliseconds. Whoever holds it reads and writes one small file, and asks nobody anything. */
const STALE = 5_000
const PATIENCE = 7_000
const PAUSE = 10

/**
 * Does the work while no other of our processes rewrites the file. The lock is a file beside it that names its holder; one
 * whose holder is gone, or that is too old, is taken away. It keeps two rewriters from each other's way; that nothing is lost
 * does not rest on it alone (see {@link rewriteOwn}).
 * @throws KeytoolError `failed` when others hold it all the time, or it can't be made
 */
export async function whileLocked<T>(path: string, work: () => Promise<T>): Promise<T> {
  const lock = join(dirname(path), `.${basename(path)}.lock`)
  const held = await take(lock, path)
  try {
    return await work()
  } finally {
    // Whoever took ours for stale has one of their own there.
    if ((await look(lock))?.ino === held) await unlink(lock).catch(() => {})
  }
}

/** Which file the lock is. */
async function take(lock: string, path: string): Promise<bigint> {
  const end = Date.now() + PATIENCE
  for (;;) {
    try {
      const file = await open(lock, 'wx', 0o600)
      try {
        await file.write(`${process.pid} ${hostname()}\n`)
        return (await file.stat({ bigint: true })).ino
      } finally {
        await file.close()
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw explain(error, path)
    }
    if (Date.now() > end) {
      throw new KeytoolError('failed', `${path} can't be written: another program is changing it`, {
        reason: `${lock} is held`,
        hint: 'try again',
      })
    }
    if (await isStale(lock)) await unlink(lock).catch(() => {})
    else await setTimeout(PAUSE)
  }
}

async function isStale(lock: string): Promise<boolean> {
  const stats = await look(lock)
  if (!stats) return false
  if (Date.now() - Number(stats.mtimeMs) > STALE) return true
  const holder = await readIfThere(lock, 1024).catch(() => undefined)
  const [, pid, host] = /^(\d{1,10}) (.+)\n$/.exec(holder?.toString() ?? '') ?? []
  // Another machine's, in a home that machines share, is known by its age only.
  return host === hostname() && !isRunning(Number(pid))
}

function look(path: string) {
  return stat(path, { bigint: true }).catch(() => undefined)
}
