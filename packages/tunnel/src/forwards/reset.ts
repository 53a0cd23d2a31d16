import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/**
 * Closes so that the other program learns that the connection broke: a TCP socket with RST, a channel without its end.
 * A Unix socket knows no such thing: it closes, as with `ssh`.
 */
export function reset(stream: Duplex): void {
  if (stream.destroyed) return
  if (!(stream instanceof Socket) || stream.connecting) {
    stream.destroy()
  } else if (stream.writableEnded && !stream.writableFinished && stream.writableLength === 0) {
    // libuv refuses a RST while a FIN is on its way, and node then loses the descriptor: one moment later it may be.
    stream.once('finish', () => reset(stream))
  } else {
    resetNow(stream)
  }
}

function resetNow(socket: Socket): void {
  try {
    socket.resetAndDestroy()
  } catch {
    // A Unix socket.
    socket.destroy()
  }
}
