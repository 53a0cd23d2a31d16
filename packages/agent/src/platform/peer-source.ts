import type { Socket } from 'node:net'
import type { Program } from '../who.js'

/** What the system vouches for, of whoever has connected. */
export interface Credentials {
  readonly uid: number
  /** Absent where the process can't be seen from here, in a container for one. */
  readonly pid?: number
}

/** A running program, as one look finds it. */
export interface Sighting {
  readonly program: Program
  /** The process that started it, or took it over. 0 where there is none. */
  readonly parent: number
  /** When it began, in the system's own count: only good for comparing. */
  readonly start: number
  /** Whether a session began with it: a shell in a terminal, a service. */
  readonly leads: boolean
}

/** How one system tells of running programs. Nothing here throws: a program may end at any moment. */
export interface ProgramReader {
  look(pid: number): Sighting | undefined
  /** The words it was started with, its name first; 4 KiB at most. Empty where the system does not tell. Foreign text. */
  argumentsOf(pid: number): readonly string[]
}

/** How one system tells who has connected. */
export interface PeerSource extends ProgramReader {
  /** Undefined when it can't say: the connection is gone again, mostly. */
  credentials(socket: Socket): Credentials | undefined
}

/** The system's number of an open socket. Node keeps it to itself; on Windows it has none. */
export function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as unknown as { _handle?: { readonly fd?: number } | null }
  const fd = handle?.fd
  return fd === undefined || fd < 0 ? undefined : fd
}
