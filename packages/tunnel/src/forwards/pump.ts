import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { isKeytoolError } from '@keytool/keygen'

/** What went through one forward since it was opened. */
export interface Counters {
  /** Connections accepted. */
  connections: number
  /** Of those, still open. */
  open: number
  /** From the far side, in bytes. */
  bytesIn: number
  /** To the far side, in bytes. */
  bytesOut: number
  lastError?: string
}

export function zeroCounters(): Counters {
  return { connections: 0, open: 0, bytesIn: 0, bytesOut: 0 }
}

/**
 * Carries bytes both ways until both directions ended or either side broke. Each end is handed on as a half-close, so
 * that an answer to a finished request still comes. What breaks is reset on the local side: a cut is never made to look
 * like an end.
 * @param socket made with `allowHalfOpen`
 */
export function pump(socket: Socket, channel: Duplex, counters: Counters): void {
  // It may have broken before anybody listened.
  if (channel.destroyed) {
    noteError(counters, channel.errored ?? 'closed')
    reset(socket)
    return
  }
  socket.on('data', chunk => {
    counters.bytesOut += chunk.length
  })
  channel.on('data', chunk => {
    counters.bytesIn += chunk.length
  })
  channel.on('error', error => {
    noteError(counters, error)
    reset(socket)
  })
  // A channel closes without error only after its end: the last bytes go out, then the socket closes as TCP would.
  channel.on('close', () => {
    if (socket.destroyed) return
    if (socket.writableFinished) socket.destroy()
    else socket.once('finish', () => socket.destroy())
  })
  // The far side sees a channel that closes without end, unless both ends had been handed on.
  socket.on('close', () => channel.destroy())
  socket.pipe(channel)
  channel.pipe(socket)
}

/** Closes with RST: the other program learns that the connection broke. */
export function reset(socket: Socket): void {
  if (!socket.destroyed) socket.resetAndDestroy()
}

export function noteError(counters: Counters, error: unknown): void {
  counters.lastError = isKeytoolError(error) ? error.message : String((error as NodeJS.ErrnoException).code ?? error)
}
