import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { ServerChannel, TcpipRequestInfo } from 'ssh2'
import { pour } from './ssh-pour.js'

/** Ports of the host as its users know them, and the real ones of 127.0.0.1 that stand for them. */
export type Ports = Readonly<Record<number, number>>

const hosts = ['localhost', '127.0.0.1']
const CONNECT_MS = 5000

/**
 * Answers a wish for a direct-tcpip channel (RFC 4254 section 7.2): to this host's own listed ports only, and
 * accepted only once the connection stands.
 */
export async function forward(
  wish: TcpipRequestInfo,
  ports: Ports,
  accept: () => ServerChannel,
  reject: () => void,
): Promise<void> {
  const port = hosts.includes(wish.destIP) && Object.hasOwn(ports, wish.destPort) ? ports[wish.destPort] : undefined
  const socket = port === undefined ? undefined : await open(port).catch(() => undefined)
  if (!socket) return reject()
  await join(accept(), socket)
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(CONNECT_MS) })
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}

/** Carries both ways until both have ended; each may end first. */
async function join(channel: ServerChannel, socket: Socket): Promise<void> {
  const breakOff = () => socket.destroy()
  channel.once('close', breakOff)
  socket.on('error', () => {})
  const down = async () => {
    await pour(socket, channel)
    // Not end(): on a server ssh2 would close the other direction with it.
    channel.eof()
  }
  const up = async () => {
    await pour(channel, socket)
    socket.end()
  }
  try {
    await Promise.all([down(), up()])
  } catch {
    // One side broke: the other is told by the end of both.
  } finally {
    socket.destroySoon()
    channel.destroy()
  }
}
