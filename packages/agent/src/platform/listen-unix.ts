import { chmodSync } from 'node:fs'
import { lstat, rename, rm } from 'node:fs/promises'
import type { Server } from 'node:net'
import { dirname } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import { makeFolder } from './folders.js'
import type { Listener, ListenOptions } from './listener.js'
import { checkFolder, checkSocket } from './place-check.js'
import { probeSocket } from './probe.js'
import { prepareStart } from './start-lock.js'

/** What fits into sockaddr_un, in bytes. Longer paths are cut without a word, so they must not get that far. */
const MAX_PATH = process.platform === 'linux' ? 107 : 103
/** In milliseconds. */
export const DEFAULT_PATIENCE = 10_000

/**
 * A Unix socket, 0600 in a folder that is ours alone. What is not safe is refused, never repaired: somebody may have
 * put it there on purpose.
 *
 * The server binds in the start lock's own folder and is moved into place from there. So the lock is held by a process
 * that the kernel knows to be alive, the socket is never seen half made, and what libuv removes by name when it
 * closes is not the agent's path, which may be another's by then.
 */
export async function listenOnSocket(server: Server, path: string, options: ListenOptions): Promise<Listener> {
  try {
    return await takePlace(server, path, options)
  } catch (cause) {
    throw cause instanceof KeytoolError ? cause : failure(path, cause)
  }
}

async function takePlace(server: Server, path: string, options: ListenOptions): Promise<Listener> {
  const folder = dirname(path)
  const named = options.named ?? false
  if (!(await checkFolder(folder, named))) {
    await makeFolder(folder)
    await checkFolder(folder, named)
  }
  const start = await prepareStart(path)
  try {
    for (const each of [path, start.prepared, start.held]) checkLength(each)
    await bindPrivately(server, start.prepared)
    try {
      await start.acquire(options.patience ?? DEFAULT_PATIENCE)
      await checkFree(path)
      await options.announce?.()
      const own = await lstat(start.held)
      await rename(start.held, path)
      return { path, close: () => close(server, path, own) }
    } catch (error) {
      await new Promise<void>(resolve => server.close(() => resolve()))
      throw error
    }
  } finally {
    await start.release()
  }
}

/** Makes sure that nothing, or only what a dead agent left, stands where the socket goes: that one will be replaced. */
async function checkFree(path: string): Promise<void> {
  if ((await checkSocket(path)) && (await probeSocket(path)) === 'live')
    throw new KeytoolError('exists', `an agent answers at ${path} already`)
}

async function close(server: Server, path: string, own: { dev: number; ino: number }): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()))
  const stats = await lstat(path).catch(() => undefined)
  if (stats && stats.dev === own.dev && stats.ino === own.ino) await rm(path, { force: true })
  await closed
}

/** Binds in a folder that is ours alone, so the socket's own mode is set before anybody else can reach it. */
export function bindPrivately(server: Server, path: string): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    try {
      // node binds within this call. The umask would be the whole process's, its threads' included: it is left alone.
      server.listen(path, () => {
        server.off('error', reject)
        resolve()
      })
      chmodSync(path, 0o600)
    } catch (error) {
      reject(error)
    }
  })
}

function checkLength(path: string): void {
  if (Buffer.byteLength(path) <= MAX_PATH) return
  throw new KeytoolError('failed', `the path ${path} is too long for a socket`, {
    reason: `a socket's path has ${MAX_PATH} bytes at most`,
    hint: 'choose a shorter one',
  })
}

function failure(path: string, cause: unknown): KeytoolError {
  return new KeytoolError('failed', `nothing can listen at ${path}: ${codeOf(cause)}`, { cause })
}

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code)
}
