import { isKeytoolError, type KeytoolError } from '@keytool/keygen'
import type { Connection } from '../connection/connection.js'
import type { KeyFile, OpenKeyFileOptions } from './key-file.js'
import { openShellKeyFile } from './shell-key-file.js'

/**
 * Failures of a shell that say there is none: a forced command, nologin, a server that runs no commands, one that never
 * answers. A connection that is lost fails for SFTP in the same way.
 */
const noShell: readonly string[] = ['unsupported', 'refused', 'unreachable']

/**
 * The user's authorized_keys on a server: by a shell, and by SFTP where there is no shell or SFTP is asked for.
 * @throws KeytoolError `unsupported` when neither leads to it; as {@link KeyFile.read} does
 */
export async function openKeyFile(
  connection: Pick<Connection, 'exec' | 'openSubsystem'> & Partial<Pick<Connection, 'software'>>,
  { way }: OpenKeyFileOptions = {},
): Promise<KeyFile> {
  if (way !== 'shell' && /^OpenSSH_for_Windows/i.test(connection.software ?? '')) {
    const { openWindowsKeyFile } = await import('./windows-key-file.js')
    const file = await openWindowsKeyFile(connection)
    if (file) return file
  }
  if (way === 'sftp') return await openBySftp(connection)
  try {
    return await openShellKeyFile({ connection, software: connection.software })
  } catch (error) {
    if (way === 'shell' || !isKeytoolError(error) || !noShell.includes(error.code)) throw error
    return await openBySftp(connection, error)
  }
}

async function openBySftp(
  connection: Pick<Connection, 'exec' | 'openSubsystem'>,
  why?: KeytoolError,
): Promise<KeyFile> {
  const { openSftpKeyFile } = await import('./sftp-key-file.js')
  return await openSftpKeyFile(connection, why && { reason: why.reason ?? why.message })
}
