import type { Server } from 'node:net'
import { listenOnSocket } from './listen-unix.js'
import { listenOnPipe } from './listen-windows.js'

/** Where an agent can be reached, from opening to closing. */
export interface Listener {
  readonly path: string
  /** Stops listening and leaves nothing behind. Connections that are open are not its business. */
  close(): Promise<void>
}

export interface ListenOptions {
  /** Called when the place is certainly ours: just before anybody can connect, or on a pipe, just after. */
  readonly announce?: () => Promise<void>
  /**
   * The user named the place: then its folder may be one that others can look into, such as /tmp, as long as they
   * can't put anything of theirs in the socket's stead. Default false: the folder is the user's alone.
   */
  readonly named?: boolean
  /** Milliseconds to wait for others that are starting at the same moment. Default 10 s. */
  readonly patience?: number
}

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
