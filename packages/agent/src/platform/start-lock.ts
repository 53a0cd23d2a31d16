import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rename, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { KeytoolError } from '@keytool/keygen'
import { probeSocket } from './probe.js'

/** One attempt to be the only one that starts in a folder. */
export interface Start {
  /** Where to listen before {@link Start.acquire}. */
  readonly prepared: string
  /** Where that socket stands while the lock is held. */
  readonly held: string
  /** Waits for the lock. Rejects with `failed` when others hold it for longer than `patience` milliseconds. */
  acquire(patience: number): Promise<void>
  /** Gives the lock back, held or not, and leaves nothing behind. */
  release(): Promise<void>
}

const LOCK = '.start'
const PAUSE = 15

/**
 * A lock that needs no flock and knows no stale state.
 *
 * The lock is a folder with one socket in it, on which its holder listens. It is taken by renaming a folder of one's own,
 * socket inside, onto its name: the kernel allows that in one step, and only while the name is free or its folder
 * empty. Whether a holder lives is asked of the kernel by connecting. A dead one's socket is removed by its name, which
 * is random, so nobody can remove a lock that was taken since they looked.
 */
export async function prepareStart(folder: string): Promise<Start> {
  const name = randomBytes(4).toString('hex')
  const lock = join(folder, LOCK)
  const own = join(folder, `.${name}`)
  await mkdir(own, { mode: 0o700 })
  return {
    prepared: join(own, name),
    held: join(lock, name),
    async acquire(patience) {
      const end = Date.now() + patience
      while (!(await isMoved(own, lock))) {
        await removeDead(lock)
        if (Date.now() > end) {
          throw new KeytoolError('failed', 'another agent is starting and does not get done', {
            reason: `${lock} is held`,
          })
        }
        await setTimeout(PAUSE)
      }
    },
    async release() {
      for (const each of [join(own, name), join(lock, name)]) await unlink(each).catch(ignoreMissing)
      // The lock's folder may be somebody else's already: then it is not empty, and stays.
      for (const each of [own, lock]) await rmdir(each).catch(ignoreMissing)
    },
  }
}

async function isMoved(own: string, lock: string): Promise<boolean> {
  try {
    await rename(own, lock)
    return true
  } catch (error) {
    if (isOneOf(error, 'ENOTEMPTY', 'EEXIST')) return false
    throw error
  }
}

async function removeDead(lock: string): Promise<void> {
  const names = await readdir(lock).catch(error => {
    if (isOneOf(error, 'ENOENT')) return []
    throw error
  })
  for (const name of names) {
    const path = join(lock, name)
    if ((await probeSocket(path)) === 'dead') await unlink(path).catch(ignoreMissing)
  }
}

function ignoreMissing(error: unknown): void {
  if (!isOneOf(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST')) throw error
}

function isOneOf(error: unknown, ...codes: string[]): boolean {
  return codes.includes(String((error as NodeJS.ErrnoException).code))
}
