import { randomBytes } from 'node:crypto'
import { KeytoolError } from '@keytool/keygen'
import type { Sftp } from '../sftp/client.js'
import { flags } from '../sftp/messages.js'
import { folderOf, joinPath, nameIn, type RemotePath } from '../sftp/path.js'
import { refusalOf, status, succeeds, unlessRefused } from '../sftp/status.js'
import { isThere } from './sftp-target.js'

/** A lock this old belongs to nobody any more, in seconds of the server's clock. */
const STALE = 60
/** How long is waited: until the lock of one that was cut off is stale. All in milliseconds. */
const PATIENCE = 75_000
const PAUSE = { first: 20, longest: 500 }
/** How long one may be held: far less than after which others take it away. */
const HOLD = 30_000

/** Time, handed in so that nothing has to be waited for in a test. */
export interface LockClock {
  /** Milliseconds, from any moment on. */
  now(): number
  sleep(milliseconds: number): Promise<void>
}

export interface SftpLock {
  /** Whether another held it when we came: what was read before may be old. */
  readonly waited: boolean
  /** Whether a lock was taken away that somebody had left who was cut off. */
  readonly tookOver: boolean
  /** @throws KeytoolError `failed` when it was held for so long that others may not respect it any more */
  check(): void
  release(): Promise<void>
}

/**
 * Makes the lock that all writers of this program make, over a shell or SFTP: a file that must not be there before. One
 * that is older than a minute by the server's own clock was left by somebody who is gone.
 * @param shown the lock, as people there know it
 * @throws SftpRefusal when no file can be made there; KeytoolError `failed` when another holds it all the time
 */
export async function takeLock(sftp: Sftp, path: RemotePath, shown: string, clock: LockClock): Promise<SftpLock> {
  const end = clock.now() + PATIENCE
  let serverTime: (() => number) | undefined
  let tookOver = false
  for (let pause = PAUSE.first; ; pause = Math.min(2 * pause, PAUSE.longest)) {
    if (await make(sftp, path)) return hold(sftp, path, clock, { waited: pause > PAUSE.first, tookOver })
    serverTime ??= await readServerTime(sftp, folderOf(path), clock)
    if (await removeIfStale(sftp, path, serverTime)) tookOver = true
    if (clock.now() > end) {
      throw new KeytoolError('failed', 'another program is changing the file all the time', {
        reason: `${shown} is there`,
        hint: 'try again; if nothing is at work there, remove that file on the server',
      })
    }
    await clock.sleep(pause / 2 + Math.random() * pause)
  }
}

function hold(sftp: Sftp, path: RemotePath, clock: LockClock, how: Pick<SftpLock, 'waited' | 'tookOver'>): SftpLock {
  const end = clock.now() + HOLD
  return {
    ...how,
    check() {
      if (clock.now() < end) return
      throw new KeytoolError('failed', 'the server took too long to change the file', { hint: 'try again' })
    },
    // After that time it may be another's.
    release: async () => {
      if (clock.now() < end) await sftp.remove(path).catch(() => {})
    },
  }
}

/** Made without being held, as often as it happens that one goes in the moment in which another is refused. */
const TRIES = 3

/** False when it is there already: servers say that in several ways, all of which are a no. */
async function make(sftp: Sftp, path: RemotePath): Promise<boolean> {
  for (let tries = 1; ; tries++) {
    try {
      const handle = await sftp.open(path, flags.write | flags.create | flags.exclusive, { permissions: 0o600 })
      await sftp.close(handle).catch(() => {})
      return true
    } catch (error) {
      if (refusalOf(error) === undefined) throw error
      if (await isThere({ sftp }, path)) return false
      if (tries === TRIES || refusalOf(error) === status.permissionDenied) throw error
    }
  }
}

/** The server's clock, as its files have it: a new one tells. */
async function readServerTime(sftp: Sftp, folder: RemotePath, clock: LockClock): Promise<() => number> {
  const path = joinPath(folder, `.authorized_keys.keytool-clock-${randomBytes(8).toString('hex')}`)
  const handle = await sftp.open(path, flags.write | flags.create | flags.exclusive, { permissions: 0o600 })
  try {
    const { modified } = await sftp.fstat(handle)
    if (modified === undefined) throw new KeytoolError('unsupported', 'the server does not say when a file was made')
    const start = clock.now()
    return () => modified + (clock.now() - start) / 1000
  } finally {
    await sftp.close(handle).catch(() => {})
    await sftp.remove(path).catch(() => {})
  }
}

/**
 * It is moved away and looked at again: of several who see the same old lock one gets it, and one that caught a new lock
 * by mistake puts it back.
 */
async function removeIfStale(sftp: Sftp, path: RemotePath, serverTime: () => number): Promise<boolean> {
  if (!(await isStale(sftp, path, serverTime))) return false
  const aside = joinPath(folderOf(path), `${nameIn(path)}-${randomBytes(8).toString('hex')}`)
  if (!(await succeeds(sftp.rename(path, aside)))) return false
  const isOld = await isStale(sftp, aside, serverTime)
  if (isOld || !(await succeeds(sftp.rename(aside, path)))) await sftp.remove(aside).catch(() => {})
  return isOld
}

async function isStale(sftp: Sftp, path: RemotePath, serverTime: () => number): Promise<boolean> {
  const found = await unlessRefused(sftp.lstat(path), status.noSuchFile)
  return found?.modified !== undefined && serverTime() - found.modified > STALE
}
