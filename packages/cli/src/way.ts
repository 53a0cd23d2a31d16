import type { Duplex } from 'node:stream'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { type Connection, type ConnectOptions, dial, dialByCommand, type HostSettings } from '@keytool/tunnel'
import type { Context } from './context.js'
import { type Destination, showDestination } from './reach.js'

/** How long a host on the way may take to reach the next one, in milliseconds. */
const DIAL_TIME = 15_000

/** What ConnectTimeout says, in milliseconds. As for ssh, 0 is as good as nothing. */
export function connectTime({ connectTimeout }: Pick<HostSettings, 'connectTimeout'>): number | undefined {
  return connectTimeout ? connectTimeout * 1000 : undefined
}

/** How a host is reached: directly, through others, by a program. */
export interface Way {
  readonly dial: NonNullable<ConnectOptions['dial']>
  /** Lets go of the hosts in between. */
  close(): Promise<void>
}

/**
 * The way to the first host that is dialled.
 * @param dialTime how long TCP may take, in milliseconds. Default: ConnectTimeout, or 15 s
 */
export function startWay(first: Destination, dialTime: number | undefined, context: Context): Way {
  const { proxyCommand } = first
  return {
    dial: proxyCommand === undefined ? directly(first, dialTime) : byProgram(proxyCommand, first, context),
    close,
  }
}

/**
 * The way on from a host. It ends with the connection to that host, and that one with it.
 * @param hop the host that the connection leads to
 * @param dialTime how long that host may take to reach the next one, in milliseconds. Default: ConnectTimeout, or 15 s
 */
export function continueThrough(
  connection: Pick<Connection, 'openDirect' | 'close'>,
  hop: Pick<Destination, 'user' | 'host' | 'port' | 'settings'>,
  dialTime?: number,
): Way {
  const time = dialTime ?? connectTime(hop.settings) ?? DIAL_TIME
  return {
    dial: ({ host, port, signal }) =>
      // Nobody's socket here is connected to it: RFC 4254 section 7.2 wants an address all the same.
      withinTime(connection.openDirect(host, port, { host: '127.0.0.1', port: 0 }), time, signal).catch(error => {
        throw namingHop(error, hop)
      }),
    close: () => connection.close(),
  }
}

/** A hop may never answer: then nobody waits, and what comes after all is let go of. */
function withinTime(opening: Promise<Duplex>, time: number, signal: AbortSignal | undefined): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    let isOver = false
    const settle = (end: () => void) => {
      isOver = true
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      end()
    }
    const late = () =>
      reject(new KeytoolError('unreachable', 'it does not answer', { reason: `waited ${time / 1000} s` }))
    const timer = setTimeout(() => settle(late), time)
    const abort = () => settle(() => reject(new KeytoolError('cancelled', 'connecting was cancelled')))
    opening.then(
      stream => {
        if (isOver) stream.destroy()
        else settle(() => resolve(stream))
      },
      error => settle(() => reject(error)),
    )
    if (signal?.aborted) abort()
    else signal?.addEventListener('abort', abort)
  })
}

/** Of several servers, the one it is about; and what decides there. */
function namingHop(error: unknown, hop: Pick<Destination, 'user' | 'host' | 'port'>): unknown {
  if (!isKeytoolError(error) || error.code === 'cancelled') return error
  const { code, message, reason, hint: ownHint } = error
  const hint = code === 'refused' ? 'its AllowTcpForwarding and PermitOpen decide; another way: -J' : ownHint
  return new KeytoolError(code, message, {
    reason: [`the server is ${showDestination(hop)}, on the way there`, reason].filter(Boolean).join('; '),
    ...(hint !== undefined && { hint }),
    cause: error,
  })
}

function directly({ settings }: Destination, dialTime: number | undefined): Way['dial'] {
  const { addressFamily, bindAddress } = settings
  const timeout = dialTime ?? connectTime(settings)
  const family = addressFamily === 'inet' ? 4 : addressFamily === 'inet6' ? 6 : undefined
  return options =>
    dial({
      ...options,
      ...(timeout !== undefined && { timeout }),
      ...(family !== undefined && { family }),
      ...(bindAddress !== undefined && { localAddress: bindAddress }),
    })
}

function byProgram(command: string, { typed, user, session, settings }: Destination, context: Context): Way['dial'] {
  const alias = session?.hostKeyAlias ?? settings.hostKeyAlias
  return ({ host, port, signal }) =>
    dialByCommand(command, {
      ...{ host, port, user, signal, typedHost: typed },
      ...(alias !== undefined && { hostKeyAlias: alias }),
      env: context.env,
      onStderr: line => context.say.note(line),
    })
}

async function close(): Promise<void> {}
