import { openLibrary } from './libc.js'
import { type Credentials, descriptorOf, type PeerSource } from './peer-source.js'
import { argumentsOnLinux, lookOnLinux } from './programs-linux.js'

/** asm-generic/socket.h: the same on every machine that koffi is built for. */
const SOL_SOCKET = 1
const SO_PEERCRED = 17

/** struct ucred, unix(7): pid, uid and gid, 32 bits each. */
const UCRED_SIZE = 12
const PID = 0
const UID = 4

/** The kernel remembers who called connect: unix(7), SO_PEERCRED. */
export async function openLinux(): Promise<PeerSource> {
  const getsockopt = (await openLibrary()).bind('int getsockopt(int, int, int, void *, void *)')
  const found = Buffer.alloc(UCRED_SIZE)
  const length = Buffer.alloc(4)
  return {
    look: lookOnLinux,
    argumentsOf: argumentsOnLinux,
    credentials(socket): Credentials | undefined {
      const fd = descriptorOf(socket)
      if (fd === undefined) return undefined
      length.writeUInt32LE(UCRED_SIZE)
      if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, found, length) !== 0) return undefined
      const pid = found.readInt32LE(PID)
      const uid = found.readUInt32LE(UID)
      // A process of another pid namespace has no number here.
      return pid > 0 ? { uid, pid } : { uid }
    },
  }
}
