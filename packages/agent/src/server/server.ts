import type { Server, Socket } from 'node:net'
import type { Agent } from '../agent.js'
import type { Peer } from '../who.js'
import { Budget } from './budget.js'
import { Connection, type ConnectionLimits, type Shared } from './connection.js'
import { Holdings } from './holdings.js'

export interface Limits extends ConnectionLimits {
  /** Connections that may be open at a time. */
  readonly connections: number
  /** Bytes of requests that all connections may have under way together, beyond one request of each. */
  readonly bytes: number
  /** Bytes that may be held for all connections together: see {@link Holdings}. */
  readonly held: number
}

export const LIMITS: Limits = {
  pending: 64,
  output: 128 * 1024,
  connections: 1024,
  bytes: 16 * 1024 * 1024,
  held: 24 * 1024 * 1024,
}
/** What a connection may hold beside that, in bytes: with as many as may be open it is two thirds of that. */
const LITTLE = 16 * 1024

/** Somebody of whom nothing is known. */
const STRANGER: Peer = { programs: [] }

/** Serves an agent to one client until either side closes. The socket should allow half-open ends. */
export function serveConnection(
  agent: Agent,
  socket: Socket,
  limits: ConnectionLimits = LIMITS,
  shared: Shared = share(LIMITS),
  peer?: Peer,
): Connection {
  return new Connection(agent, socket, limits, shared, peer)
}

/** What the connections of one service are to share. */
export function share({ bytes, held }: Pick<Limits, 'bytes' | 'held'>): Shared {
  return { budget: new Budget(bytes), holdings: new Holdings(held, LITTLE) }
}

/** Tells who connects. `undefined`: somebody who is not to be served. */
export type Doorkeeper = (socket: Socket) => Peer | undefined

/** What serves the clients of one listener. */
export interface Service {
  /** Clients connected now. */
  readonly size: number
  /** Cuts every client off. The listener is whoever opened it's to close. */
  close(): void
}

/**
 * Serves an agent to everybody who connects. Make the server with `allowHalfOpen`, so that a client may say its last
 * before it has read its answers; it need not listen yet.
 *
 * @param doorkeeper asked about everybody before they are served
 *
 * When too many are connected, the oldest one that is only in the way makes room; if there is none, the oldest that waits
 * for nothing of the program that has most of them, where that is many; else the new one is cut off.
 */
export function serve(
  agent: Agent,
  server: Server,
  limits: Partial<Limits> = {},
  doorkeeper: Doorkeeper = () => STRANGER,
): Service {
  const { connections: most, bytes, held, ...each } = { ...LIMITS, ...limits }
  const shared = share({ bytes, held })
  const connections = new Set<Connection>()
  server.on('connection', socket => {
    const peer = doorkeeper(socket)
    if (!peer) return void socket.destroy()
    if (connections.size >= most) {
      const expendable = [...connections].find(connection => connection.expendable) ?? oldestOfMost(connections, most)
      if (!expendable) return void socket.destroy()
      connections.delete(expendable)
      expendable.destroy()
    }
    const connection = serveConnection(agent, socket, each, shared, peer)
    connections.add(connection)
    socket.on('close', () => connections.delete(connection))
  })
  return {
    get size() {
      return connections.size
    },
    close() {
      for (const connection of connections) connection.destroy()
    },
  }
}

/** One program has many where it has more than this share of all. */
const MANY = 1 / 4

function oldestOfMost(connections: Iterable<Connection>, most: number): Connection | undefined {
  const idle = new Map<number, Connection[]>()
  for (const connection of connections) {
    const { programs, pid } = connection.peer ?? STRANGER
    const program = programs.at(-1)?.pid ?? pid
    if (!connection.isIdle || program === undefined) continue
    const theirs = idle.get(program)
    if (theirs) theirs.push(connection)
    else idle.set(program, [connection])
  }
  const [largest = []] = [...idle.values()].sort((one, other) => other.length - one.length)
  return largest.length > most * MANY ? largest[0] : undefined
}
