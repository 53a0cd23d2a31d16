import { createServer, type Server, type Socket } from 'node:net'
import { KeytoolError, showForeign } from '@keytool/keygen'
import { findPortOwner } from '../platform/port-owner.js'
import { listenOnUnixSocket } from './listen-unix.js'
import { addressToBind, type ForwardOf, formatForward, formatListen, forwardOption } from './spec.js'

/** A forward that listens here. */
export type SpecHere = ForwardOf<'local' | 'dynamic'>

/** What is added to a port that only root may bind: 110 becomes 1110. */
const OFFSET = 1000
/** Who connects and is not accepted yet. As OpenSSH, whose 128 the kernel may cut. */
const BACKLOG = 511

export interface ListenerHere {
  /** The port, chosen by the system where 0 was asked for; absent for a Unix socket. */
  readonly port?: number
  /** Stops listening. Resolves when all that was accepted is closed, too. */
  close(): Promise<void>
}

/**
 * Listens at a forward's place, on 127.0.0.1 alone unless it names an address. Sockets come paused and half-open.
 * @param onError told when a connection could not be accepted, for want of descriptors say: the listener goes on
 * @param onLeftover told when the path of its socket could not be removed at the end
 * @throws KeytoolError `failed`: the place is in use (by whom, where that can be known), not allowed, or no address
 * here; `exists`: something else is at the path; `unsupported`: no Unix sockets on this system
 */
export async function listenHere(
  spec: SpecHere,
  onSocket: (socket: Socket) => void,
  onError: (error: Error) => void,
  onLeftover: (error: KeytoolError) => void = () => {},
): Promise<ListenerHere> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, onSocket)
  const { listen } = spec
  const closed = () => new Promise<void>(resolve => server.close(() => resolve()))
  if ('path' in listen) {
    const remove = await listenOnUnixSocket(server, listen.path)
    server.on('error', onError)
    const tidy = () => remove().catch(cause => onLeftover(explainLeftover(listen.path, cause)))
    return { close: () => Promise.all([closed(), tidy()]).then(() => {}) }
  }
  await bindPort(server, addressToBind(listen), listen.port).catch(async error => {
    throw await explainListening(error, spec)
  })
  server.on('error', onError)
  const bound = server.address()
  return { port: typeof bound === 'object' && bound ? bound.port : listen.port, close: closed }
}

function bindPort(server: Server, host: string | undefined, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, backlog: BACKLOG, ...(host !== undefined && { host }) }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** What is left there is a dead socket, which the next start replaces. */
function explainLeftover(path: string, cause: unknown): KeytoolError {
  const code = String((cause as NodeJS.ErrnoException).code)
  return new KeytoolError('failed', `${showForeign(path)} can't be removed: ${code}`, { cause })
}

/** Why listening at a port did not work, and what will. */
export async function explainListening(error: unknown, spec: SpecHere): Promise<KeytoolError> {
  const { code } = error as NodeJS.ErrnoException
  const { kind, listen } = spec
  const place = formatListen(spec)
  const at = (port: number) => `${forwardOption(kind)} ${formatForward({ ...spec, listen: { ...listen, port } })}`
  const port = 'path' in listen ? 0 : listen.port
  if (code === 'EADDRINUSE' && !('path' in listen)) {
    const host = addressToBind(listen)
    const [owner, free] = await Promise.all([findPortOwner(port, host), findFreePort(host)])
    return new KeytoolError('failed', `${place} is in use`, {
      ...(owner && { reason: `held by ${owner.name ?? 'a program'} (pid ${owner.pid})` }),
      ...(free !== undefined && { hint: `a free port: ${at(free)}` }),
      cause: error,
    })
  }
  if (code === 'EACCES' && port > 0 && port < 1024) {
    return new KeytoolError('failed', `${place} may not be bound: ports under 1024 are kept for root`, {
      hint: `take ${at(port + OFFSET)}`,
      cause: error,
    })
  }
  const reason = code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' ? 'that is no address of this machine' : String(code)
  return new KeytoolError('failed', `${place} can't be listened on`, { reason, cause: error })
}

async function findFreePort(host: string | undefined): Promise<number | undefined> {
  const server = createServer()
  try {
    await bindPort(server, host, 0)
    const address = server.address()
    return typeof address === 'object' ? address?.port : undefined
  } catch {
    return undefined
  } finally {
    server.close()
  }
}
