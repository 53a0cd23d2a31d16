import { LIBSYSTEM, openLibrary } from './libc.js'
import { type Credentials, descriptorOf, type PeerSource } from './peer-source.js'
import { readProgramsOnDarwin } from './programs-darwin.js'

/** sys/un.h */
const SOL_LOCAL = 0
const LOCAL_PEERPID = 2

/** getpeereid(3) for the user, unix(4)'s LOCAL_PEERPID for the process. */
export async function openDarwin(): Promise<PeerSource> {
  const library = await openLibrary(LIBSYSTEM)
  const getpeereid = library.bind('int getpeereid(int, void *, void *)')
  const getsockopt = library.bind('int getsockopt(int, int, int, void *, void *)')
  const [uid, gid, pid, length] = [Buffer.alloc(4), Buffer.alloc(4), Buffer.alloc(4), Buffer.alloc(4)]
  return {
    ...readProgramsOnDarwin(library),
    credentials(socket): Credentials | undefined {
      const fd = descriptorOf(socket)
      if (fd === undefined || getpeereid(fd, uid, gid) !== 0) return undefined
      length.writeUInt32LE(pid.length)
      const isKnown = getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, pid, length) === 0 && pid.readInt32LE() > 0
      return { uid: uid.readUInt32LE(), ...(isKnown && { pid: pid.readInt32LE() }) }
    },
  }
}
