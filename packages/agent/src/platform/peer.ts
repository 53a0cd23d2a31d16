import type { Socket } from 'node:net'
import { isKeytoolError, KeytoolError, showForeign } from '@keytool/keygen'
import type { Peer } from '../who.js'
import { openDarwin } from './peer-darwin.js'
import { openLinux } from './peer-linux.js'
import type { PeerSource } from './peer-source.js'
import { openWindows } from './peer-windows.js'
import { tracePrograms } from './programs.js'

/** Tells who connects. */
export interface PeerReader {
  /**
   * Who is at the other end. To be called as the connection comes, since the programs may be gone later.
   *
   * Undefined when the system tells of everybody and not of this one: it has hung up already, and is not to be served.
   */
  read(socket: Socket): Peer | undefined
  /** The words that a program was started with, its name first; 4 KiB at most. Empty for one that is gone. Foreign text. */
  argumentsOf(pid: number): readonly string[]
  /** Why nothing is known of anybody here: {@link PeerReader.read} then knows neither user nor program. */
  readonly trouble?: string
}

const sources: Readonly<Record<string, () => Promise<PeerSource>>> = {
  linux: openLinux,
  darwin: openDarwin,
  win32: openWindows,
}

/**
 * Finds out how this system tells who connects. Never rejects: where it does not tell, the reader says why, and what
 * keeps others out is the place alone (a folder that is 0700, or a pipe of the user's).
 */
export async function preparePeers(
  system: string = process.platform,
  open: (() => Promise<PeerSource>) | undefined = sources[system],
): Promise<PeerReader> {
  try {
    if (!open) throw new KeytoolError('unsupported', `how ${system} tells who connects is not known here`)
    return readFrom(await open())
  } catch (error) {
    return { read: () => ({ programs: [] }), argumentsOf: () => [], trouble: explainTrouble(error) }
  }
}

function readFrom(source: PeerSource): PeerReader {
  return {
    argumentsOf: pid => source.argumentsOf(pid),
    read(socket) {
      const found = source.credentials(socket)
      return found && { ...found, programs: found.pid === undefined ? [] : tracePrograms(found.pid, source) }
    },
  }
}

function explainTrouble(error: unknown): string {
  if (isKeytoolError(error)) return error.message
  return `koffi, which asks the system who connects, could not be loaded: ${showForeign(String((error as Error).message))}`
}

/** Whether a peer is another user, who gets nothing here. Root is none: nothing can be kept from it anyway. */
export function isForeign({ uid }: Peer, own: number | undefined = process.getuid?.()): boolean {
  return uid !== undefined && own !== undefined && uid !== 0 && uid !== own
}
