import { chmodSync, type Stats } from 'node:fs'
import { link, lstat, mkdtemp, rename, rm, rmdir } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import { KeytoolError, showForeign } from '@keytool/keygen'
import { fitsSocket } from './socket-path.js'

/** A connection to a socket of this machine is made or refused at once. In milliseconds. */
const PATIENCE = 2_000

/**
 * Listens on a Unix socket that is 0600 from its first moment. It is bound in a folder that nobody else can enter and
 * linked into place from there, so that nothing at the path is ever replaced, except a socket of this user's own that
 * the kernel knows to be dead; and what libuv removes by name when it closes is not the path.
 * @returns takes the path away, if what is there is still this socket. It throws the system's error when that can't be done
 * @throws KeytoolError `exists`: something else is there; `failed`: a socket that is in use, or the system says no
 */
export async function listenOnUnixSocket(
  server: Server,
  path: string,
  system: string = process.platform,
): Promise<() => Promise<void>> {
  if (system === 'win32') {
    throw new KeytoolError('unsupported', "Unix sockets can't be listened on under Windows", {
      hint: 'take a port: it is bound to 127.0.0.1 alone',
    })
  }
  const folder = await mkdtemp(join(dirname(path), '.kt-')).catch(cause => {
    throw explain(path, cause)
  })
  const prepared = join(folder, 's')
  try {
    if (!fitsSocket(prepared) || !fitsSocket(path)) throw Object.assign(new Error('too long'), { code: 'ENAMETOOLONG' })
    await bind(server, prepared)
    const own = await lstat(prepared)
    await putInPlace(prepared, path)
    return () => removeOwn(path, own)
  } catch (cause) {
    await new Promise<void>(resolve => server.close(() => resolve()))
    throw cause instanceof KeytoolError ? cause : explain(path, cause)
  } finally {
    // Somebody may have closed the folder meanwhile: that is no reason not to listen.
    await rm(prepared, { force: true }).catch(() => {})
    await rmdir(folder).catch(() => {})
  }
}

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    try {
      // node binds within this call. The umask would be the whole process's, its threads' included: it is left alone.
      server.listen(path, () => {
        server.off('error', reject)
        resolve()
      })
      chmodSync(path, 0o600)
    } catch (error) {
      reject(error)
    }
  })
}

async function putInPlace(prepared: string, path: string): Promise<void> {
  try {
    // Unlike rename it never replaces.
    await link(prepared, path)
    return
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const there = await lstat(path)
  if (!there.isSocket()) throw new KeytoolError('exists', `${showForeign(path)} is there already, and is no socket`)
  const [state, reason] = await probe(path)
  if (state === 'live') throw new KeytoolError('failed', `${showForeign(path)} is in use`, { reason })
  if (there.uid !== process.getuid?.()) {
    throw new KeytoolError('exists', `${showForeign(path)} is a socket of another user`, {
      reason: 'nobody listens there, but it is not ours to remove',
    })
  }
  // The socket that was found dead, and no other: one that has just been put there lives.
  if (!isSame(await lstat(path), there)) throw new KeytoolError('failed', `${showForeign(path)} is in use`)
  await rename(prepared, path)
}

/** Only the kernel's own word counts as death: whatever else goes wrong (a full queue, no right) may be a live program. */
function probe(path: string): Promise<['live', string] | ['dead', '']> {
  return new Promise(resolve => {
    const socket = connect(path)
    const decide = (outcome: ['live', string] | ['dead', '']) => {
      socket.destroy()
      resolve(outcome)
    }
    socket.setTimeout(PATIENCE, () => decide(['live', 'a program has it that does not answer']))
    socket.on('connect', () => decide(['live', 'another program listens there']))
    socket.on('error', error => {
      const { code } = error as NodeJS.ErrnoException
      decide(code === 'ECONNREFUSED' ? ['dead', ''] : ['live', `it can't be looked into: ${code}`])
    })
  })
}

async function removeOwn(path: string, own: Stats): Promise<void> {
  const there = await lstat(path).catch(() => undefined)
  if (there && isSame(there, own)) await rm(path, { force: true })
}

function isSame(one: Stats, other: Stats): boolean {
  return one.dev === other.dev && one.ino === other.ino
}

/** What the system's codes mean. */
const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'its folder is not there',
  ENOTDIR: 'its folder is no folder',
  EACCES: 'its folder may not be written to',
  EROFS: 'its folder may not be written to',
  ENAMETOOLONG: 'its folder has too long a path for a socket',
  EPERM: 'sockets there are not allowed',
}

function explain(path: string, cause: unknown): KeytoolError {
  const code = String((cause as NodeJS.ErrnoException).code)
  return new KeytoolError('failed', `${showForeign(path)} can't be listened on`, {
    reason: reasons[code] ?? code,
    cause,
  })
}
