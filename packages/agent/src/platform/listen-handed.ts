import { lstat } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { dirname } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import { checkHanded } from './handed.js'
import { bindPrivately, DEFAULT_PATIENCE } from './listen-unix.js'
import type { Listener, ListenOptions } from './listener.js'
import { checkFolder, checkSocket } from './place-check.js'
import { prepareStart } from './start-lock.js'

/** Connecting takes the right to write. */
const WRITE_BY_OTHERS = 0o022

/**
 * A Unix socket on which a service manager listens already, and goes on listening when we end: its path is that
 * manager's to make and to remove. Who connects meanwhile waits in the socket's queue.
 *
 * The start lock is held while it is taken over, as by whoever makes a socket: `announce` is alone with the place.
 */
export async function listenOnHanded(
  server: Server,
  path: string,
  descriptor: number,
  options: ListenOptions,
): Promise<Listener> {
  await checkAtPlace(path, options.named ?? false)
  await checkHanded(descriptor, path)
  const start = await prepareStart(path)
  const holder = createServer()
  try {
    await bindPrivately(holder, start.prepared)
    await start.acquire(options.patience ?? DEFAULT_PATIENCE)
    await options.announce?.()
    await adopt(server, descriptor, path)
  } finally {
    await new Promise<void>(resolve => holder.close(() => resolve()))
    await start.release()
  }
  return { path, close: () => new Promise<void>(resolve => server.close(() => resolve())) }
}

/** What is asked of a place of our own making, and that the socket lets nobody else connect. */
async function checkAtPlace(path: string, named: boolean): Promise<void> {
  if (!(await checkFolder(dirname(path), named)) || !(await checkSocket(path))) {
    throw refusal(path, 'it is not there any more', 'systemctl --user restart keytool-agent.socket')
  }
  const { mode } = await lstat(path)
  if ((mode & WRITE_BY_OTHERS) === 0) return
  throw refusal(path, `others can connect to it (${(mode & 0o777).toString(8)})`, 'give the unit SocketMode=0600')
}

function adopt(server: Server, descriptor: number, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: Error) => {
      const { code } = cause as NodeJS.ErrnoException
      reject(new KeytoolError('failed', `nothing can listen at ${path}: ${code}`, { cause }))
    }
    server.once('error', fail)
    server.listen({ fd: descriptor }, () => {
      server.off('error', fail)
      resolve()
    })
  })
}

function refusal(path: string, reason: string, hint: string): KeytoolError {
  return new KeytoolError('refused', `the agent can't be reached at ${path}, where the service manager listens`, {
    reason,
    hint,
  })
}
