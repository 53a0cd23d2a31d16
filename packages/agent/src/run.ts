import { createServer } from 'node:net'
import { KeytoolError } from '@keytool/keygen'
import { pidFileBeside, readPidFile, removePidFile, writePidFile } from './pid-file.js'
import { takeHandedSocket } from './platform/handed.js'
import { listen } from './platform/listen.js'
import { isRunning, startOf } from './platform/running.js'
import { createRing, type Ring } from './ring/ring.js'
import { type Doorkeeper, type Limits, serve } from './server/server.js'

export interface RunOptions {
  /** The socket's absolute path, or the pipe's name on Windows: {@link Places.agentSocket}, or what `-a` says. */
  readonly socket: string
  /** Default: {@link pidFileBeside} the socket. */
  readonly pidFile?: string
  /** Whether the user named the place: see `ListenOptions`. Default false. */
  readonly named?: boolean
  /**
   * In which a service manager says that it listens there already; what it says is taken out. Default: nobody does.
   */
  readonly env?: Record<string, string | undefined>
  /** Whether the place is for this once: then nothing that was handed over is meant for it. Default false. */
  readonly passing?: boolean
  /** Stops the agent when it is aborted. */
  readonly signal?: AbortSignal
  readonly ring?: Ring
  readonly limits?: Partial<Limits>
  readonly doorkeeper?: Doorkeeper
  /** What is to be done when the place is certainly ours, before anybody can connect. */
  readonly prepare?: () => Promise<void>
  /** What is to be done while the place still is ours, when nobody is served any more. Never rejects. */
  readonly finish?: () => Promise<void>
}

export interface RunningAgent {
  readonly socket: string
  readonly pid: number
  /** Stops serving, wipes the keys, removes socket and pid file (a socket that was handed over stays). May be called more than once. */
  stop(): Promise<void>
  /** Resolves when it has stopped, for whatever reason. */
  readonly stopped: Promise<void>
}

/**
 * Runs an agent in this process. Resolves when it can be reached: whoever finds its socket finds its pid file, too.
 * Signals are the caller's: hand them in through `signal`.
 *
 * @throws KeytoolError as `listen` and `writePidFile` do: `exists` when an agent answers there already, `refused`,
 * `failed`
 */
export async function runAgent(options: RunOptions): Promise<RunningAgent> {
  const { socket, signal, named = false, pidFile = pidFileBeside(socket), ring = createRing() } = options
  signal?.throwIfAborted()
  const { pid } = process
  const handed = options.env && !options.passing ? takeHandedSocket(options.env) : undefined
  const server = createServer({ allowHalfOpen: true })
  const service = serve(ring, server, options.limits, options.doorkeeper)
  const announce = async () => {
    if (handed !== undefined) await checkAlone(pidFile, socket)
    await options.prepare?.()
    await writePidFile(pidFile, { pid, socket, since: new Date().toISOString(), start: startOf(pid) })
  }
  const listener = await listen(server, socket, { announce, named, ...(handed !== undefined && { handed }) })

  let stopping: Promise<void> | undefined
  let end: () => void
  const stopped = new Promise<void>(resolve => {
    end = resolve
  })
  async function stopOnce(): Promise<void> {
    // Keys first: whatever goes wrong afterwards, they are gone.
    ring.wipe()
    service.close()
    await options.finish?.()
    try {
      await listener.close()
      await removePidFile(pidFile, pid)
    } finally {
      end()
    }
  }
  const stop = () => {
    stopping ??= stopOnce()
    return stopping
  }
  // What can't be removed is harmless: the next agent finds a stale socket, and nobody believes its pid file.
  signal?.addEventListener('abort', () => void stop().catch(() => undefined), { once: true })
  if (signal?.aborted) await stop()
  return { socket, pid, stop, stopped }
}

/**
 * A service manager takes a path over without asking who listens there. Whoever did is not reached any more, but still
 * writes the files that go by the place: there must not be two of them.
 * @throws KeytoolError `exists`
 */
async function checkAlone(pidFile: string, socket: string): Promise<void> {
  const other = await readPidFile(pidFile)
  if (other?.socket !== socket || other.pid === process.pid) return
  if (!isRunning(other.pid) || other.start !== startOf(other.pid)) return
  throw new KeytoolError('exists', `an agent runs for ${socket} already (pid ${other.pid})`, {
    reason: 'the service manager took its path away, so that nobody reaches it any more',
    hint: `end it: kill ${other.pid}`,
  })
}
