import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import ssh2, { type Connection } from 'ssh2'
import { listenOnLoopback } from './listen.js'
import { authenticate, type Login } from './ssh-authenticate.js'
import { runCommand } from './ssh-command.js'
import { forward, type Ports } from './ssh-forward.js'

export interface SshServerOptions extends Login {
  /**
   * The ports that this host appears to have, and the ports of 127.0.0.1 where they really are: `{ 25: 40025 }`. The
   * server plays a whole host, on which the mail ports are the privileged ones that mail programs expect.
   */
  readonly ports: Ports
}

export interface SshServer {
  readonly port: number
  /** Of its host key, fresh at every start: `SHA256:…`. */
  readonly fingerprint: string
  /** The host key's public line, `type base64`. */
  readonly hostKey: string
  stop(): Promise<void>
}

const MOST_TRIES = 6

/**
 * Starts a small SSH server on a free port of 127.0.0.1 for one user: logs in by password or by the home's
 * authorized_keys, runs commands by a real shell in that home, and forwards to the listed ports of this host.
 * Everything else (terminals, sftp, other forwards) is refused.
 */
export async function startSshServer(options: SshServerOptions): Promise<SshServer> {
  const hostKey = ssh2.utils.generateKeyPairSync('ed25519', { comment: '' })
  const [type = '', base64 = ''] = hostKey.public.split(' ')
  const protocol = new ssh2.Server({ hostKeys: [hostKey.private] }, connection => {
    // A client that breaks off or misbehaves is its own affair; ssh2 has ended the connection.
    connection.on('error', () => {})
    serve(connection, options)
  })
  // A listener of our own: ssh2's leaves Nagle's delay on, and can't end a connection whose client does not answer.
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, socket => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    protocol.injectSocket(socket)
  })
  const port = await listenOnLoopback(server)
  const digest = createHash('sha256').update(Buffer.from(base64, 'base64')).digest('base64')
  return {
    port,
    fingerprint: `SHA256:${digest.replace(/=+$/, '')}`,
    hostKey: `${type} ${base64}`,
    async stop() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function serve(connection: Connection, options: SshServerOptions): void {
  let tries = 0
  connection.on('authentication', context => {
    if (context.method !== 'none') tries++
    if (tries > MOST_TRIES) connection.end()
    else void authenticate(context, options)
  })
  connection.on('ready', () => {
    connection.on('session', accept => {
      accept().on('exec', (acceptCommand, _reject, { command }) => {
        // It rejects when the client went away, which is told to nobody.
        runCommand(acceptCommand(), command, options).catch(() => {})
      })
    })
    connection.on('tcpip', (accept, reject, wish) => void forward(wish, options.ports, accept, reject))
  })
}
