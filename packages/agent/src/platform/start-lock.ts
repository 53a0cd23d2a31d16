import { createHash, randomBytes } from 'node:crypto'
import { lstat, mkdir, readdir, rename, rmdir, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { KeytoolError } from '@keytool/keygen'
import { isOwn } from './place-check.js'
import { probeSocket } from './probe.js'

/** One attempt to be the only one that starts at a place. */
export interface Start {
  /** Where to listen before {@link Start.acquire}. */
  readonly prepared: string
  /** Where that socket stands while the lock is held. */
  readonly held: string
  /**
   * Waits for the lock. Rejects with `failed` when others hold it for longer than `patience` milliseconds, with
   * `refused` when what stands there is no lock of ours.
   */
  acquire(patience: number): Promise<void>
  /** Gives the lock back, held or not, and leaves nothing behind. */
  release(): Promise<void>
}

/** What a start calls its socket. Nothing of another name is ever removed. */
const SOCKET_NAME = /^[0-9a-f]{8}$/
const PAUSE = 15

/**
 * The lock for the socket at `path`, beside it. In a folder like /tmp everybody could make a folder of a name that all
 * share, and hold up all: so it is one for each user and socket. Short, however long the socket's own name is.
 */
export function startLockOf(path: string): string {
  const name = createHash('sha256')
    .update(`${process.getuid?.()} ${basename(path)}`)
    .digest('hex')
    .slice(0, 8)
  return join(dirname(path), `.keytool-${name}`)
}

/**
 * A lock that needs no flock and knows no stale state.
 *
 * The lock is a folder with one socket in it, on which its holder listens. It is taken by renaming a folder of one's own,
 * socket inside, onto its name: the kernel allows that in one step, and only while the name is free or its folder
 * empty. Whether a holder lives is asked of the kernel by connecting. A dead one's socket is removed by its name, which
 * is random, so nobody can remove a lock that was taken since they looked.
 *
 * @param path where the agent's socket will be
 */
export async function prepareStart(path: string): Promise<Start> {
  const name = randomBytes(4).toString('hex')
  const lock = startLockOf(path)
  const own = join(dirname(path), `.${name}`)
  let isHeld = false
  await mkdir(own, { mode: 0o700 })
  return {
    prepared: join(own, name),
    held: join(lock, name),
    async acquire(patience) {
      const end = Date.now() + patience
      while (!(await isMoved(own, lock))) {
        await checkLock(lock)
        await removeDead(lock)
        if (Date.now() > end) {
          throw new KeytoolError('failed', 'another agent is starting and does not get done', {
            reason: `${lock} is held`,
          })
        }
        await setTimeout(PAUSE)
      }
      isHeld = true
    },
    async release() {
      const folder = isHeld ? lock : own
      await unlink(join(folder, name)).catch(ignoreMissing)
      // The lock's folder may be another start's already: then it is not empty, and stays.
      await rmdir(folder).catch(ignoreMissing)
    },
  }
}

async function isMoved(own: string, lock: string): Promise<boolean> {
  try {
    await rename(own, lock)
    return true
  } catch (error) {
    // What stands there instead of an empty folder of ours, checkLock finds out.
    if (isOneOf(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'EPERM', 'EACCES')) return false
    throw error
  }
}

async function checkLock(lock: string): Promise<void> {
  const stats = await lstat(lock).catch(ignoreMissing)
  if (!stats) return
  if (stats.isSymbolicLink()) throw refusal(lock, 'it is a link')
  if (!stats.isDirectory()) throw refusal(lock, 'it is not a folder')
  if (!isOwn(stats)) throw refusal(lock, 'it belongs to another user')
}

/** Only a dead socket of ours is what a start left: to the kernel a file is a socket on which nobody listens. */
async function removeDead(lock: string): Promise<void> {
  for (const name of (await readdir(lock).catch(ignoreMissing)) ?? []) {
    const path = join(lock, name)
    const stats = await lstat(path).catch(ignoreMissing)
    if (!SOCKET_NAME.test(name) || !stats?.isSocket() || !isOwn(stats)) continue
    if ((await probeSocket(path)) === 'dead') await unlink(path).catch(ignoreMissing)
  }
}

function refusal(lock: string, reason: string): KeytoolError {
  return new KeytoolError('refused', `${lock} is in the way of starting an agent`, {
    reason,
    hint: 'move it away first',
  })
}

function ignoreMissing(error: unknown): undefined {
  if (!isOneOf(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST')) throw error
}

function isOneOf(error: unknown, ...codes: string[]): boolean {
  return codes.includes(String((error as NodeJS.ErrnoException).code))
}
