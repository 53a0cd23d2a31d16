import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { isKeytoolError } from '@keytool/keygen'
import { reset } from './reset.js'

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

/** What had come before a local program broke still goes out, if the far side takes it within this time. Milliseconds. */
const LAST_WORDS = 10_000

/**
 * Carries bytes both ways until both directions ended or either side broke. Each end is handed on as a half-close, so
 * that an answer to a finished request still comes. What breaks is reset on the local side, and closed without an end on
 * the far one: a cut is never made to look like an end.
 * @param socket made with `allowHalfOpen`, and connected
 */
export function pump(socket: Socket, channel: Duplex, counters: Counters): void {
  // It may have broken before anybody listened.
  if (channel.destroyed) {
    noteError(counters, channel.errored ?? 'closed')
    reset(socket)
    return
  }
  // Known even of one that was reset by now; a Unix socket has none.
  const isTcp = socket.localAddress !== undefined
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
  socket.on('close', () => closeChannel(channel))
  socket.on('end', () => {
    if (isTcp) whenReallyEnded(socket, () => channel.end())
    else channel.end()
  })
  socket.pipe(channel, { end: false })
  channel.pipe(socket)
}

/**
 * libuv reads data that comes together with a RST as data and an end. Only writing tells the two apart; nothing at all is
 * enough. With bytes still waiting it is their writing that fails, in this turn of the loop.
 */
function whenReallyEnded(socket: Socket, ended: () => void): void {
  if (socket.writableLength > 0) setImmediate(() => socket.destroyed || ended())
  else if (socket.writable) socket.write('', error => error ?? ended())
  else ended()
}

/** After the socket: all that came from it goes out first. The far side sees an end only where there was one. */
function closeChannel(channel: Duplex): void {
  if (channel.destroyed) return
  if (channel.writableFinished || (!channel.writableEnded && channel.writableLength === 0)) {
    channel.destroy()
  } else if (channel.writableEnded) {
    channel.once('finish', () => channel.destroy())
  } else {
    const timer = setTimeout(() => channel.destroy(), LAST_WORDS)
    channel.once('close', () => clearTimeout(timer))
    channel.write(Buffer.alloc(0), () => channel.destroy())
  }
}

export function noteError(counters: Counters, error: unknown): void {
  counters.lastError = isKeytoolError(error) ? error.message : String((error as NodeJS.ErrnoException).code ?? error)
}
