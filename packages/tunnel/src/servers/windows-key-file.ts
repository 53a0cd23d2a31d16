import { randomBytes } from 'node:crypto'
import { isKeytoolError, showForeign } from '@keytool/keygen'
import type { Connection } from '../connection/connection.js'
import type { Sftp } from '../sftp/client.js'
import { joinPath, remotePath } from '../sftp/path.js'
import { readWhole } from '../sftp/whole.js'
import type { KeyFile } from './key-file.js'
import { SftpKeeper } from './sftp-keeper.js'
import { openSftp, type SftpKeyFileOptions, systemLockClock } from './sftp-key-file.js'
import type { SftpPlace } from './sftp-place.js'
import { findWindows, isAdministrator, protectAdministratorsKeys, type WindowsServer } from './windows-server.js'

/** A larger sshd_config is not read. */
const MAX_CONFIG = 1 << 20

/** As Windows' own sshd_config has it, for members of the group administrators; many comment it out. */
const READS_ADMINISTRATORS = /^\s*AuthorizedKeysFile[\s=].*administrators_authorized_keys/im

/**
 * The file of keys on a Windows server (Win32-OpenSSH): by SFTP, since its shells have little in common. For administrators
 * sshd reads one file for all of them, which nobody else may write to.
 * @returns `undefined` when it is no Windows server
 * @throws KeytoolError `unsupported` where the server gives no SFTP, `failed` when it does not say who the user is,
 * `unreachable`
 */
export async function openWindowsKeyFile(
  connection: Pick<Connection, 'exec' | 'openSubsystem'>,
  options: SftpKeyFileOptions = {},
): Promise<KeyFile | undefined> {
  const server = await findWindows(connection)
  if (!server) return undefined
  const isOne = await isAdministrator(connection)
  const sftp = await openSftp(connection, options)
  const isShared = isOne && (await readsAdministratorsFile(sftp, server))
  const place = isShared ? administratorsPlace(connection, sftp, server) : await userPlace(sftp)
  return new SftpKeeper(place, options.clock ?? systemLockClock)
}

/** What its sshd_config says; what it ships with, where it can't be read. */
async function readsAdministratorsFile(sftp: Sftp, { programData }: WindowsServer): Promise<boolean> {
  try {
    const config = await readWhole(sftp, joinPath(asSftpPath(programData), 'ssh/sshd_config'), MAX_CONFIG)
    return config === undefined || READS_ADMINISTRATORS.test(config.toString('latin1'))
  } catch (error) {
    if (isKeytoolError(error) && ['not-found', 'failed'].includes(error.code)) return true
    throw error
  }
}

/** `C:\ProgramData` is `/C:/ProgramData` there. */
function asSftpPath(path: string) {
  return remotePath(`/${path.replaceAll('\\', '/')}`)
}

function administratorsPlace(
  connection: Pick<Connection, 'exec'>,
  sftp: Sftp,
  { programData }: WindowsServer,
): SftpPlace {
  const folder = joinPath(asSftpPath(programData), 'ssh')
  const name = 'administrators_authorized_keys'
  const shown = showForeign(programData)
  return {
    sftp,
    home: undefined,
    folder,
    file: joinPath(folder, name),
    shown: { folder: `${shown}\\ssh`, file: `${shown}\\ssh\\${name}` },
    lock: joinPath(folder, `.${name}.keytool-lock`),
    // Not a new one each time: the command that says who may read it is fixed. The lock keeps others from it.
    temporaryName: () => `.${name}.keytool-new`,
    hasModes: false,
    prepare: () => protectAdministratorsKeys(connection),
  }
}

async function userPlace(sftp: Sftp): Promise<SftpPlace> {
  const home = await sftp.realpath(remotePath('.'))
  const folder = joinPath(home, '.ssh')
  return {
    sftp,
    home: undefined,
    folder,
    file: joinPath(folder, 'authorized_keys'),
    shown: { folder: '%USERPROFILE%\\.ssh', file: '%USERPROFILE%\\.ssh\\authorized_keys' },
    lock: joinPath(folder, '.authorized_keys.keytool-lock'),
    temporaryName: () => `.authorized_keys.keytool-new-${randomBytes(8).toString('hex')}`,
    hasModes: false,
    prepare: async () => {},
  }
}
