import type { Duplex, Readable, Writable } from 'node:stream'
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

/** Where the server is asked to listen: `host` as RFC 4254 section 7.1 has it (empty is every address), or a Unix socket. */
export type RemotePlace = { readonly host: string; readonly port: number } | { readonly path: string }

/** A connection that reached a listener on the server. It waits until it is accepted or rejected, once. */
export interface Incoming {
  /** Who connected there; nobody knows for a Unix socket. */
  readonly origin?: Origin
  /** Takes it. As with {@link Connection.openDirect}: an end is an end, a cut is an error. */
  accept(): Duplex
  /** The server closes it: SSH_OPEN_CONNECT_FAILED, which OpenSSH turns into a plain close. */
  reject(): void
}

export interface RemoteListener {
  /** The port the server listens on; absent for a Unix socket. */
  readonly port?: number
  /** Asks the server to stop. Resolves also when it does not answer any more. */
  close(): Promise<void>
}

/** In characters, and in pixels where they are known (else 0): RFC 4254 section 6.2. */
export interface TerminalSize {
  readonly columns: number
  readonly rows: number
  readonly width?: number
  readonly height?: number
}

export interface SessionRequest {
  /** Absent: the user's shell. */
  readonly command?: string
  /** Asks for a terminal. `modes`: opcodes of RFC 4254 section 8 by name (`VERASE`, `ECHO`, ...). */
  readonly terminal?: {
    readonly type: string
    readonly size: TerminalSize
    readonly modes?: Readonly<Record<string, number>>
  }
  /** Variables offered to the server, which mostly takes `LANG` and `LC_*` only. */
  readonly environment?: Readonly<Record<string, string>>
  /** Asks for the agent that was given when connecting to be reachable there. */
  readonly forwardAgent?: boolean
}

/** What ended a shell or command; both absent when the server ended it without a word. */
export interface Exit {
  readonly status?: number
  readonly signal?: string
}

/** A shell or a command on the server, with its streams open (RFC 4254 section 6). */
export interface RemoteSession {
  /** Its end is the end of input. Waits for the server's window. */
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  resize(size: TerminalSize): void
  /** Sends a signal by its name without `SIG`. */
  signal(name: string): void
  /**
   * Settles when it has ended and both outputs were read.
   * @throws KeytoolError `unreachable` when the connection was lost before
   */
  readonly exit: Promise<Exit>
  /** Closes the channel at once. */
  close(): void
}

/** One authenticated SSH connection. */
export interface Connection {
  readonly admission: Admission
  /** The software that serves, as it names itself (RFC 4253 section 4.2), such as `OpenSSH_9.2p1`. Foreign. */
  readonly software: string
  /**
   * What the server remarked since it let the user in (SSH_MSG_DEBUG, RFC 4253 section 11.3): the first few, cut where they
   * are long. Foreign, for people, and never to be relied on.
   */
  readonly remarks: readonly string[]
  /**
   * A stream to `host:port` as the server sees it (direct-tcpip, RFC 4254 section 7.2). Ending it closes one
   * direction only; one that was cut is destroyed with an error, never ended.
   * @throws KeytoolError `refused` by the server's rules, `unreachable` target or connection, `failed`
   */
  openDirect(host: string, port: number, origin: Origin): Promise<Duplex>
  /**
   * The same to a Unix socket on the server (direct-streamlocal@openssh.com, OpenSSH's PROTOCOL section 2.4).
   * @throws KeytoolError as {@link Connection.openDirect}
   */
  openDirectUnix(path: string): Promise<Duplex>
  /**
   * Has the server listen (tcpip-forward, RFC 4254 section 7.1; streamlocal-forward@openssh.com).
   * @param onIncoming told of each connection that reached it
   * @throws KeytoolError `refused` when the server does not, `unreachable`
   */
  listenRemote(place: RemotePlace, onIncoming: (incoming: Incoming) => void): Promise<RemoteListener>
  /**
   * Runs one command.
   * @throws KeytoolError `damaged` over the cap, `unreachable`, `refused` when the server runs no commands
   */
  exec(command: string, options?: ExecOptions): Promise<ExecResult>
  /**
   * A shell or a command whose streams stay open.
   * @throws KeytoolError `refused` when the server gives none, or no terminal; `unreachable`
   */
  openSession(request: SessionRequest): Promise<RemoteSession>
  /**
   * A subsystem such as `sftp`, with its streams open (RFC 4254 section 6.5).
   * @throws KeytoolError `refused` when the server has none of that name; `unreachable`
   */
  openSubsystem(name: string): Promise<RemoteSession>
  /**
   * Asks for a sign of life (keepalive@openssh.com), which every server answers one way or another.
   * @returns how long the answer took, in milliseconds
   * @throws KeytoolError `unreachable` when none came within `timeout` milliseconds; the connection is not closed by it
   */
  ping(timeout: number): Promise<number>
  /** Settles once the connection is over: `undefined` after {@link Connection.close}, else why. Never rejects. */
  readonly closed: Promise<KeytoolError | undefined>
  /** Says goodbye and closes. Streams that are open are cut. */
  close(): Promise<void>
}
