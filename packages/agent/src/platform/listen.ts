import type { Server } from 'node:net'
import { listenOnHanded } from './listen-handed.js'
import { listenOnSocket } from './listen-unix.js'
import { listenOnPipe } from './listen-windows.js'
import type { Listener, ListenOptions } from './listener.js'

/**
 * Lets `server` listen at the agent's place: a Unix socket, or a pipe on Windows. Of several that try at the same
 * instant exactly one succeeds. Where a service manager listens there already, its socket is served.
 *
 * @throws KeytoolError `exists` when an agent answers there already; `refused` when the folder or what stands there is
 * not safe to use, or what was handed over is not the socket there; `failed` when the system says no
 */
export async function listen(
  server: Server,
  path: string,
  options: ListenOptions = {},
  system: string = process.platform,
): Promise<Listener> {
  const { handed } = options
  const open = system === 'win32' ? listenOnPipe : listenOnSocket
  const listener = await (handed === undefined
    ? open(server, path, options)
    : listenOnHanded(server, path, handed, options))
  // A connection that can't be accepted (no descriptor left, say) is that client's loss alone.
  server.on('error', () => undefined)
  return listener
}
