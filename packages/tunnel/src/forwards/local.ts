import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { showForeign } from '@keytool/keygen'
import type { Connection, Origin } from '../connection/connection.js'
import type { Forward, ForwardOptions } from './forward.js'
import { ForwardHere } from './here.js'
import { openInTime } from './open-in-time.js'
import { type Counters, pump } from './pump.js'
import { guestAt } from './socket-guest.js'
import { type ForwardOf, formatPlace, type TargetPlace } from './spec.js'

/** Who comes by a Unix socket has no address; this is what OpenSSH says then, for servers that check it. */
const NOWHERE: Origin = { host: '127.0.0.1', port: 65535 }

/**
 * Listens for a `-L` forward. Who comes before the connection stands waits for it.
 * @throws KeytoolError as listenHere
 */
export function openLocal(spec: ForwardOf<'local'>, options: ForwardOptions): Promise<Forward> {
  return ForwardHere.open(spec, options, ({ counters }) => async socket => {
    const connection = await options.link.connection(guestAt(socket))
    if (socket.destroyed) return
    const channel = await openTarget(connection, spec.to, originOf(socket))
    if (socket.destroyed) channel.destroy()
    else carry(socket, channel, counters)
  })
}

function openTarget(connection: Connection, to: TargetPlace, origin: Origin): Promise<Duplex> {
  if ('path' in to) return openInTime(showForeign(to.path), () => connection.openDirectUnix(to.path))
  const { host, port } = to
  return openInTime(showForeign(formatPlace(host, port)), () => connection.openDirect(host, port, origin))
}

/** As {@link pump}, for a socket that may have been read before, and to its end. */
export function carry(socket: Socket, channel: Duplex, counters: Counters): void {
  pump(socket, channel, counters)
  if (socket.readableEnded) channel.end()
}

/** Where a connection came from, as the server is told. */
export function originOf({ remoteAddress, remotePort }: Socket): Origin {
  if (remoteAddress === undefined || remotePort === undefined) return NOWHERE
  return { host: remoteAddress, port: remotePort }
}
