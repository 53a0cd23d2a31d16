import type { KeytoolError } from '@keytool/keygen'
import type { Connection } from '../connection/connection.js'
import type { Counters } from './pump.js'
import type { ForwardSpec } from './spec.js'

/** Who asks for the connection, and may have to wait for it. */
export interface Guest {
  /** Called when it has to wait: `left` is told when it has gone meanwhile. Returns what ends the watch. */
  onLeave(left: () => void): () => void
}

/** The connection that forwards go through, whichever it is now. */
export interface Link {
  /**
   * The connection that stands; while there is none, the next one, or a refusal, by the tunnel's policy.
   * @throws KeytoolError `unreachable` while new connections are refused, when the wait was too long, or `guest` has left
   */
  connection(guest?: Guest): Promise<Connection>
}

export interface ForwardLimits {
  /** Connections open at once through one forward; more are reset at once. Default 4096. */
  readonly connections?: number
}

export interface ForwardOptions {
  readonly link: Link
  readonly limits?: ForwardLimits
  /** Told when a connection could not be carried: the server refused its target, say. The forward goes on. */
  readonly onTrouble?: (error: unknown) => void
  /** Told when something could not be taken away at the end: a socket's path, say. The forward is closed all the same. */
  readonly onLeftover?: (error: KeytoolError) => void
}

/** One forward of any kind. Its listener, if it is here, stays open whatever happens to the connection. */
export interface Forward {
  readonly spec: ForwardSpec
  /**
   * Where it listens as it may be shown, with the port that the system or the server chose: `127.0.0.1:1110`, `*:8080`,
   * a path. Of a remote forward it is what the server was asked for until it has granted it.
   */
  readonly place: string
  /** The same in parts: the chosen port, absent for a Unix socket. */
  readonly port?: number | undefined
  readonly counters: Readonly<Counters>
  /**
   * Told of each new connection of the tunnel, before it counts as up. A remote forward asks the server to listen, on the port
   * it had before where the server chose one; the others have nothing to do.
   * @throws KeytoolError `refused` when the server does not listen there
   */
  attach(connection: Connection): Promise<void>
  /** Stops listening and resets what is open. May be called again. */
  close(): Promise<void>
}
