import { connect, type Socket } from 'node:net'
import { KeytoolError, showForeign } from '@keytool/keygen'
import { fitsSocket } from './socket-path.js'
import { formatPlace, type TargetPlace } from './spec.js'

/** Until a target answers, in milliseconds: a lost packet is sent again after 1, 3, 7 s. */
const PATIENCE = 15_000

const texts: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses the connection',
  ENOTFOUND: "can't be found: no such name",
  ENOENT: 'is not there',
  EAI_AGAIN: "can't be looked up now",
  ETIMEDOUT: 'does not answer',
  EHOSTUNREACH: "can't be reached: there is no way to this host",
  ENETUNREACH: "can't be reached: there is no way to its network",
}

/**
 * A connection to a target as this machine sees it, not connected yet: its errors and its close are the caller's.
 * @throws KeytoolError `unreachable` for a path that no socket of this system can have
 */
export function startDialling(to: TargetPlace): Socket {
  if ('path' in to) {
    if (fitsSocket(to.path)) return connect({ path: to.path, allowHalfOpen: true })
    throw new KeytoolError('unreachable', `${showForeign(to.path)} has too long a path for a socket`)
  }
  return connect({ host: to.host, port: to.port, allowHalfOpen: true, noDelay: true })
}

/**
 * Waits until it stands; a socket that does not come to it is destroyed.
 * @throws KeytoolError `unreachable`, with the system's error as its cause
 */
export function reachTarget(socket: Socket, to: TargetPlace, patience: number = PATIENCE): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => socket.destroy(Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' })),
      patience,
    )
    let cause: NodeJS.ErrnoException | undefined
    const won = () => {
      clearTimeout(timer)
      socket.off('error', lost).off('close', closed)
      resolve()
    }
    const lost = (error: NodeJS.ErrnoException) => {
      cause = error
    }
    const closed = () => {
      clearTimeout(timer)
      socket.off('connect', won).off('error', lost)
      const place = showForeign('path' in to ? to.path : formatPlace(to.host, to.port))
      const text = texts[cause?.code ?? ''] ?? `can't be reached${cause?.code ? `: ${cause.code}` : ''}`
      reject(new KeytoolError('unreachable', `${place} ${text}`, { cause }))
    }
    socket.once('connect', won).once('error', lost).once('close', closed)
  })
}
