import type { Duplex } from 'node:stream'
import { isKeytoolError, type KeytoolError } from '@keytool/keygen'
import type { Connection } from '../connection/connection.js'
import { type ForwardSpec, hostToAsk } from '../forwards/spec.js'
import type { Cause } from './causes.js'

/** Nobody's socket here is connected to it: RFC 4254 section 7.2 wants an address all the same. */
const ORIGIN = { host: '127.0.0.1', port: 0 }

/** What came of asking the server for a forward. */
export interface ForwardVerdict {
  /** Absent: it carries. */
  readonly cause?: Extract<Cause, 'forward-denied' | 'forward-dead'>
  readonly error?: KeytoolError
  /** Of one that is asked for on the server: other ports are granted, so this one is not allowed or taken. */
  readonly grantsOthers?: boolean
}

/**
 * Asks the server for what a forward needs, and gives it back at once: a connection to its target, or a listener. Nothing
 * is sent through it.
 * @param ssh where the server itself listens: what a SOCKS proxy is tried with, since who comes in says where it leads
 * @throws KeytoolError when the connection is lost
 */
export async function checkForward(
  connection: Pick<Connection, 'openDirect' | 'openDirectUnix' | 'listenRemote'>,
  spec: ForwardSpec,
  ssh: number,
): Promise<ForwardVerdict> {
  if (spec.kind === 'remote') return checkListener(connection, spec.listen)
  const to = spec.kind === 'local' ? spec.to : { host: '127.0.0.1', port: ssh }
  try {
    const opening = 'path' in to ? connection.openDirectUnix(to.path) : connection.openDirect(to.host, to.port, ORIGIN)
    cut(await opening)
    return {}
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    if (error.code === 'refused') return { cause: 'forward-denied', error }
    // A SOCKS proxy that is allowed leads wherever its users want.
    return spec.kind === 'dynamic' ? {} : { cause: 'forward-dead', error }
  }
}

async function checkListener(
  connection: Pick<Connection, 'listenRemote'>,
  listen: ForwardSpec['listen'],
): Promise<ForwardVerdict> {
  const place = 'path' in listen ? listen : { host: hostToAsk(listen), port: listen.port }
  try {
    const listener = await connection.listenRemote(place, incoming => incoming.reject())
    await listener.close()
    return {}
  } catch (error) {
    if (!isKeytoolError(error) || error.code !== 'refused') throw error
    if ('path' in place || place.port === 0) return { cause: 'forward-denied', error }
    const other = await checkListener(connection, { bind: place.host === '' ? '*' : place.host, port: 0 })
    return { cause: 'forward-denied', error, grantsOthers: other.cause === undefined }
  }
}

function cut(stream: Duplex): void {
  stream.on('error', () => {})
  stream.destroy()
}
