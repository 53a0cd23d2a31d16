import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { makeFolder } from '../platform/folders.js'
import { bindPrivately } from '../platform/listen-unix.js'
import { checkFolder } from '../platform/place-check.js'
import type { Places } from '../platform/places.js'
import { prepareStart, type Start } from '../platform/start-lock.js'

/** In milliseconds: less than a keychain has for an answer. */
const PATIENCE = 3000
const PAUSE = 15

/**
 * Does the work while nobody else changes the index. No keychain changes an entry in one step, and reading back what one
 * has written does not show what another has lost by it. So this is the start lock of agents, which the kernel gives back
 * when its holder dies, as a child may at any time; on Windows it is the name of a pipe, which is as good.
 * @throws KeytoolError `failed` when others hold it all the time
 */
export async function whileLocked<T>(
  places: Places,
  work: () => Promise<T>,
  system: string = process.platform,
): Promise<T> {
  const release = await (system === 'win32' ? lockPipe(places) : lockFolder(places.runtime))
  try {
    return await work()
  } finally {
    await release()
  }
}

async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const server = createServer(socket => socket.destroy())
  let lock: Start | undefined
  const release = async () => {
    await close(server)
    await lock?.release()
  }
  try {
    if (!(await checkFolder(folder, false))) {
      await makeFolder(folder)
      await checkFolder(folder, false)
    }
    lock = await prepareStart(join(folder, 'keychain'))
    await bindPrivately(server, lock.prepared)
    await lock.acquire(PATIENCE)
    return release
  } catch (error) {
    await release()
    throw isHeld(error)
  }
}

async function lockPipe({ home }: Places): Promise<() => Promise<void>> {
  const name = createHash('sha256').update(home).digest('hex').slice(0, 16)
  const path = `\\\\.\\pipe\\keytool-keychain-${name}`
  const end = Date.now() + PATIENCE
  for (;;) {
    const server = createServer(socket => socket.destroy())
    const error = await new Promise<Error | undefined>(resolve => {
      server.once('error', resolve)
      server.listen(path, () => resolve(undefined))
    })
    if (!error) return () => close(server)
    if (Date.now() > end) throw isHeld(error)
    await setTimeout(PAUSE)
  }
}

function close(server: Server): Promise<void> {
  return new Promise(resolve => void server.close(() => resolve()))
}

/** Not `refused`: that would be a locked keychain. */
function isHeld(cause: unknown): KeytoolError {
  const isPlace = isKeytoolError(cause) && cause.code === 'refused'
  return new KeytoolError('failed', "the keychain's list of our entries can't be changed now", {
    reason: isPlace ? [cause.message, cause.reason].join(': ') : 'another program is changing it',
    hint: (isPlace && cause.hint) || 'try again',
    cause,
  })
}
