import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Connection, Origin } from '../connection/connection.js'
import type { Forward, ForwardOptions } from './forward.js'
import { ForwardHere } from './here.js'
import { pump } from './pump.js'
import type { ForwardOf, TargetPlace } from './spec.js'

/** Who comes by a Unix socket has no address; this is what OpenSSH says then, for servers that check it. */
const NOWHERE: Origin = { host: '127.0.0.1', port: 65535 }

/**
 * Listens for a `-L` forward. Who comes before the connection stands waits for it.
 * @throws KeytoolError as listenHere
 */
export function openLocal(spec: ForwardOf<'local'>, options: ForwardOptions): Promise<Forward> {
  return ForwardHere.open(spec, options, ({ counters }) => async socket => {
    const connection = await options.link.connection()
    if (socket.destroyed) return
    const channel = await openTarget(connection, spec.to, originOf(socket))
    if (socket.destroyed) channel.destroy()
    else pump(socket, channel, counters)
  })
}

function openTarget(connection: Connection, to: TargetPlace, origin: Origin): Promise<Duplex> {
  return 'path' in to ? connection.openDirectUnix(to.path) : connection.openDirect(to.host, to.port, origin)
}

/** Where a connection came from, as the server is told. */
export function originOf({ remoteAddress, remotePort }: Socket): Origin {
  if (remoteAddress === undefined || remotePort === undefined) return NOWHERE
  return { host: remoteAddress, port: remotePort }
}
