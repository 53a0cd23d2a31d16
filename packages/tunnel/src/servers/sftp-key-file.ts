import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Connection } from '../connection/connection.js'
import type { SftpOptions } from '../sftp/channel.js'
import { Sftp } from '../sftp/client.js'
import { joinPath, remotePath } from '../sftp/path.js'
import type { KeyFile } from './key-file.js'
import { openWhenRoom } from './open-session.js'
import { SftpKeeper } from './sftp-keeper.js'
import type { LockClock } from './sftp-lock.js'
import type { SftpPlace } from './sftp-place.js'

export const systemLockClock: LockClock = {
  now: () => performance.now(),
  sleep: milliseconds => sleep(milliseconds),
}

export interface SftpKeyFileOptions extends SftpOptions {
  /** Why SFTP is used where a shell was tried first: said where SFTP does not work either. */
  readonly reason?: string
  readonly clock?: LockClock
}

/**
 * The user's authorized_keys by SFTP alone: for accounts without a shell. In a folder that sshd shuts its user into
 * (ChrootDirectory) the home is what that user sees.
 * @throws KeytoolError `unsupported` where the server gives no SFTP, `unreachable`
 */
export async function openSftpKeyFile(
  connection: Pick<Connection, 'openSubsystem'>,
  options: SftpKeyFileOptions = {},
): Promise<KeyFile> {
  const sftp = await openSftp(connection, options)
  return new SftpKeeper(await findPlace(sftp), options.clock ?? systemLockClock)
}

/**
 * Starts SFTP.
 * @throws KeytoolError `unsupported` where the server gives none, `unreachable`
 */
export async function openSftp(
  connection: Pick<Connection, 'openSubsystem'>,
  { reason, ...options }: Pick<SftpKeyFileOptions, 'reason' | 'timeout'>,
): Promise<Sftp> {
  try {
    return await openWhenRoom(() => Sftp.open(connection, options))
  } catch (error) {
    if (!isKeytoolError(error) || !['refused', 'unsupported'].includes(error.code)) throw error
    const told = [reason, error.code === 'refused' ? undefined : error.reason].filter(text => text !== undefined)
    throw new KeytoolError(
      'unsupported',
      `the server gives this user no ${reason === undefined ? '' : 'shell and no '}SFTP`,
      {
        ...(told.length > 0 && { reason: told.join('; ') }),
        hint: 'its administrator has to add the key, or to allow one of the two',
        cause: error,
      },
    )
  }
}

async function findPlace(sftp: Sftp): Promise<SftpPlace> {
  const home = await sftp.realpath(remotePath('.'))
  const folder = joinPath(home, '.ssh')
  return {
    sftp,
    home,
    folder,
    file: joinPath(folder, 'authorized_keys'),
    shown: { folder: '~/.ssh', file: '~/.ssh/authorized_keys' },
    lock: joinPath(folder, '.authorized_keys.keytool-lock'),
    temporaryName: () => `.authorized_keys.keytool-new-${randomBytes(8).toString('hex')}`,
    hasModes: true,
    prepare: async () => {},
  }
}
