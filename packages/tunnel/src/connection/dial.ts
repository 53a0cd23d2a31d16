import { connect, type Socket } from 'node:net'
import { KeytoolError, showForeign } from '@keytool/keygen'

export interface DialOptions {
  /** A name or an address. */
  readonly host: string
  /** 1 to 65535. */
  readonly port: number
  /** Until the connection stands, in milliseconds. Default 15 s. */
  readonly timeout?: number
  /** Only addresses of this kind. */
  readonly family?: 4 | 6
  /** An address of this machine to come from. */
  readonly localAddress?: string
  readonly signal?: AbortSignal | undefined
}

/** What the system's codes mean, and what to look at. */
const causes: Readonly<Record<string, { text: string; reason: string }>> = {
  ECONNREFUSED: { text: 'refuses the connection', reason: 'the host is there, but nothing listens on this port' },
  ENOTFOUND: { text: "can't be found", reason: 'no such name' },
  EAI_AGAIN: { text: "can't be looked up now", reason: 'the name server does not answer' },
  ETIMEDOUT: { text: 'does not answer', reason: 'the time for connecting is over' },
  EHOSTUNREACH: { text: "can't be reached", reason: 'there is no way to this host' },
  ENETUNREACH: { text: "can't be reached", reason: 'there is no way to its network' },
  EADDRNOTAVAIL: { text: "can't be reached from here", reason: 'the address to come from is none of this machine' },
  ECONNRESET: { text: 'closed the connection at once', reason: 'it was reset by the other side' },
}

/**
 * A connected socket without Nagle's delay: the form ssh2 is fast with.
 * @throws KeytoolError `unreachable`; `cancelled` when the signal says so
 */
export async function dial(options: DialOptions): Promise<Socket> {
  const { host, port, timeout = 15_000, family, localAddress, signal } = options
  const where = { ...(family && { family }), ...(localAddress !== undefined && { localAddress }) }
  const socket = connect({ host, port, noDelay: true, ...where })
  try {
    await connected(socket, timeout, signal)
    return socket
  } catch (error) {
    socket.destroy()
    if (error instanceof KeytoolError) throw error
    throw explain(error, `${showForeign(host)}:${port}`)
  }
}

function connected(socket: Socket, timeout: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(() => reject({ code: 'ETIMEDOUT' })), timeout)
    const abort = () => settle(() => reject(new KeytoolError('cancelled', 'connecting was cancelled')))
    const settle = (end: () => void) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      socket.off('connect', won)
      // A later error of a destroyed socket is nobody's business, but must not stop the process.
      socket.off('error', lost).on('error', () => {})
      end()
    }
    const won = () => settle(resolve)
    const lost = (error: Error) => settle(() => reject(error))
    socket.once('connect', won).once('error', lost)
    if (signal?.aborted) abort()
    else signal?.addEventListener('abort', abort)
  })
}

function explain(error: unknown, place: string): KeytoolError {
  const code = String((error as NodeJS.ErrnoException).code)
  const known = causes[code]
  return new KeytoolError('unreachable', `${place} ${known?.text ?? "can't be reached"}`, {
    reason: known?.reason ?? code,
    cause: error,
  })
}
