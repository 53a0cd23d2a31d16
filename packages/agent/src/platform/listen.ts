import type { Server } from 'node:net'
import { listenOnSocket } from './listen-unix.js'
import { listenOnPipe } from './listen-windows.js'
import type { Listener, ListenOptions } from './listener.js'

/**
 * Lets `server` listen at the agent's place: a Unix socket, or a pipe on Windows. Of several that try at the same
 * instant exactly one succeeds.
 *
 * @throws KeytoolError `exists` when an agent answers there already; `refused` when the folder or what stands there is
 * not safe to use; `failed` when the system says no
 */
export async function listen(
  server: Server,
  path: string,
  options: ListenOptions = {},
  system: string = process.platform,
): Promise<Listener> {
  const open = system === 'win32' ? listenOnPipe : listenOnSocket
  const listener = await open(server, path, options)
  // A connection that can't be accepted (no descriptor left, say) is that client's loss alone.
  server.on('error', () => undefined)
  return listener
}
