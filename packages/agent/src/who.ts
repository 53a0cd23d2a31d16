import type { PublicKey } from '@keytool/keygen'

/** A program, as it can be told from others. */
export interface Program {
  readonly pid: number
  /** What people call it: `git`, `ssh`. Foreign text: to be escaped before it is shown. */
  readonly name: string
  /** Absolute path of what it runs. Absent where the system does not tell. */
  readonly path?: string
}

/** Who is at the other end of a socket, as the system vouches for it. */
export interface Peer {
  /** The user's number; absent where the system has none. */
  readonly uid?: number
  /** Absent where the system does not tell. */
  readonly pid?: number
  /** What connected, and behind it what started that, up to the first shell or session: `ssh`, then `git`. */
  readonly programs: readonly Program[]
}

/** One session that a connection says it serves: PROTOCOL.agent section 1 of OpenSSH. */
export interface Bound {
  /** The key, or certificate, that the host has signed the session with. Verified. */
  readonly hostKey: PublicKey
  /** At most 128 bytes. */
  readonly sessionId: Buffer
  /** Whether the session carries a forwarded agent on, rather than logs in. */
  readonly forwarding: boolean
}

/** What a connection is bound to: the hosts it has come through, nearest first. */
export interface Binding {
  readonly hops: readonly Bound[]
  /** A bind was refused: whoever is there may be lying, and gets no signature any more. */
  readonly failed: boolean
}

/** Who asks for something, in one place: what gates, prompts and the ledger know of them. */
export interface Caller {
  /** Absent for what the agent does itself, and where nothing can be known. */
  readonly peer?: Peer
  readonly binding: Binding
}

/** Whether somebody asks through a forwarded agent: from another machine. */
export function isForwarded({ hops }: Binding): boolean {
  return hops.some(({ forwarding }) => forwarding)
}
