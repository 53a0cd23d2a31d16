import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { type Connection, type ConnectOptions, dial, dialByCommand } from '@keytool/tunnel'
import type { Context } from './context.js'
import { type Destination, showDestination } from './reach.js'

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

/** The way on from a host. It ends with the connection to that host, and that one with it. */
export function continueThrough(connection: Connection, hop: Destination): Way {
  return {
    // Nobody's socket here is connected to it: RFC 4254 section 7.2 wants an address all the same.
    dial: ({ host, port }) =>
      connection.openDirect(host, port, { host: '127.0.0.1', port: 0 }).catch(error => {
        throw namingHop(error, hop)
      }),
    close: () => connection.close(),
  }
}

/** Of several servers, the one it is about; and what decides there. */
function namingHop(error: unknown, hop: Destination): unknown {
  if (!isKeytoolError(error)) return error
  const { code, message, reason, hint: ownHint } = error
  const hint = code === 'refused' ? 'its AllowTcpForwarding and PermitOpen decide; another way: -J' : ownHint
  return new KeytoolError(code, message, {
    reason: [`the server is ${showDestination(hop)}, on the way there`, reason].filter(Boolean).join('; '),
    ...(hint !== undefined && { hint }),
    cause: error,
  })
}

function directly({ settings }: Destination, dialTime: number | undefined): Way['dial'] {
  const { connectTimeout, addressFamily, bindAddress } = settings
  const timeout = dialTime ?? (connectTimeout === undefined ? undefined : connectTimeout * 1000)
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
