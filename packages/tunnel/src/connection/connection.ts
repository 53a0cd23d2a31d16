import type { Duplex } from 'node:stream'
import type { KeytoolError } from '@keytool/keygen'

export interface ExecOptions {
  /** All of the command's input; its end is the end of input. Default: none. */
  readonly stdin?: Uint8Array
  /** What either output may hold, in bytes; more is `damaged`. Default 1 MiB. */
  readonly cap?: number
  /** Until the command is done, in milliseconds. Default 60 s. */
  readonly timeout?: number
}

export interface ExecResult {
  /** The exit status; absent when a signal or the server ended it. */
  readonly status?: number
  /** Name of the signal that ended it, such as `SIGTERM`. */
  readonly signal?: string
  readonly stdout: Buffer
  readonly stderr: Buffer
}

/** Where a forwarded connection came from, as the server's log will show it (RFC 4254 section 7.2). */
export interface Origin {
  readonly host: string
  readonly port: number
}

/** How the server let the user in. */
export interface Admission {
  readonly method: 'none' | 'publickey' | 'password' | 'keyboard-interactive'
  /** Methods the server named when it was first asked; empty when it let the user in without asking. */
  readonly offered: readonly string[]
}

/** One authenticated SSH connection. */
export interface Connection {
  readonly admission: Admission
  /**
   * A stream to `host:port` as the server sees it (direct-tcpip, RFC 4254 section 7.2). Ending it closes one
   * direction only; one that was cut is destroyed with an error, never ended.
   * @throws KeytoolError `refused` by the server's rules, `unreachable` target or connection, `failed`
   */
  openDirect(host: string, port: number, origin: Origin): Promise<Duplex>
  /**
   * Runs one command.
   * @throws KeytoolError `damaged` over the cap, `unreachable`, `refused` when the server runs no commands
   */
  exec(command: string, options?: ExecOptions): Promise<ExecResult>
  /** Settles once the connection is over: `undefined` after {@link Connection.close}, else why. Never rejects. */
  readonly closed: Promise<KeytoolError | undefined>
  /** Says goodbye and closes. Streams that are open are cut. */
  close(): Promise<void>
}
