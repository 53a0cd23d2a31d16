import type { Socket } from 'node:net'
import type { Guest } from './forward.js'

/**
 * Who waits at a paused socket. Nothing is known of it until it is read: so it is, as far as its buffer goes, while it has to
 * wait. One that broke has left, and one that ended without having said anything; an end behind something may be that of a
 * request whose answer is waited for.
 */
export function guestAt(socket: Socket): Guest {
  return {
    onLeave(left) {
      const leave = () => {
        socket.destroy()
        left()
      }
      // Comes while it is paused only where nothing stands before it.
      socket.once('end', leave).once('close', leave)
      if (socket.destroyed || socket.readableEnded) setImmediate(leave)
      else socket.read(0)
      return () => socket.off('end', leave).off('close', leave)
    },
  }
}
