import { connect } from 'node:net'

/** Longer than any agent takes to accept; a connection to a socket on this machine is made or refused at once. */
const PATIENCE = 2_000

/**
 * Whether somebody listens on a Unix socket. Only the kernel's own word counts as death: `ECONNREFUSED`, or that there
 * is nothing at all. Whatever else goes wrong (a full queue, a busy machine) may be a live agent.
 */
export function probeSocket(path: string): Promise<'live' | 'dead'> {
  return new Promise(resolve => {
    const socket = connect(path)
    const decide = (state: 'live' | 'dead') => {
      socket.destroy()
      resolve(state)
    }
    socket.setTimeout(PATIENCE, () => decide('live'))
    socket.on('connect', () => decide('live'))
    socket.on('error', error => {
      const code = (error as NodeJS.ErrnoException).code
      decide(code === 'ECONNREFUSED' || code === 'ENOENT' ? 'dead' : 'live')
    })
  })
}
