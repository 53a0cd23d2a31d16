import type { Server, Socket } from 'node:net'
import type { Agent } from './agent.js'
import { Budget } from './budget.js'
import { Connection, type ConnectionLimits } from './connection.js'

export interface Limits extends ConnectionLimits {
  /** Connections that may be open at a time. */
  readonly connections: number
  /** Bytes of requests that all connections may have under way together, beyond one request of each. */
  readonly bytes: number
}

export const LIMITS: Limits = { pending: 64, output: 128 * 1024, connections: 1024, bytes: 32 * 1024 * 1024 }

/** Serves an agent to one client until either side closes. The socket should allow half-open ends. */
export function serveConnection(
  agent: Agent,
  socket: Socket,
  limits: ConnectionLimits = LIMITS,
  budget: Budget = new Budget(LIMITS.bytes),
): Connection {
  return new Connection(agent, socket, limits, budget)
}

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
 * When too many are connected, the oldest one that is only in the way makes room; if there is none, the new one is cut
 * off.
 */
export function serve(agent: Agent, server: Server, limits: Partial<Limits> = {}): Service {
  const { connections: most, bytes, ...each } = { ...LIMITS, ...limits }
  const budget = new Budget(bytes)
  const connections = new Set<Connection>()
  server.on('connection', socket => {
    if (connections.size >= most) {
      const expendable = [...connections].find(connection => connection.expendable)
      if (!expendable) return void socket.destroy()
      connections.delete(expendable)
      expendable.destroy()
    }
    const connection = serveConnection(agent, socket, each, budget)
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
