import { KeytoolError } from '@keytool/keygen'
import type { PeerSource } from './peer-source.js'

/**
 * GetNamedPipeClientProcessId wants the pipe's handle, and node gives none of its own away (a socket's `fd` is -1
 * there). The pipe belongs to the user alone, so that is all that is known of a client.
 */
export async function openWindows(): Promise<PeerSource> {
  throw new KeytoolError('unsupported', 'on Windows nothing tells which program is at the other end of a pipe')
}
