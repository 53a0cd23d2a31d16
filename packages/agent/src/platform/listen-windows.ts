import type { Server } from 'node:net'
import { KeytoolError } from '@keytool/keygen'
import type { Listener, ListenOptions } from './listener.js'

/**
 * A named pipe. Its name is free again the moment its owner ends, and opening it a second time fails, so there is
 * nothing stale to look for and no race to win.
 */
export async function listenOnPipe(server: Server, path: string, options: ListenOptions): Promise<Listener> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ path, readableAll: false, writableAll: false }, () => {
      server.off('error', reject)
      resolve()
    })
  }).catch(cause => {
    const code = (cause as NodeJS.ErrnoException).code
    if (code === 'EADDRINUSE' || code === 'EACCES') {
      throw new KeytoolError('exists', `an agent answers at ${path} already`, { cause })
    }
    throw new KeytoolError('failed', `nothing can listen at ${path}: ${code}`, { cause })
  })
  const close = () => new Promise<void>(resolve => server.close(() => resolve()))
  try {
    await options.announce?.()
  } catch (cause) {
    await close()
    throw cause
  }
  return { path, close }
}
