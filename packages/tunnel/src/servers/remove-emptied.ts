import type { Connection } from '../connection/connection.js'
import { isOfType } from '../sftp/attributes.js'
import { joinPath, remotePath } from '../sftp/path.js'
import { succeeds } from '../sftp/status.js'
import type { KeyFileWay } from './key-file.js'
import { openWhenRoom } from './open-session.js'
import { openSftp } from './sftp-key-file.js'

/** Fixed, for every shell: no single quote inside, no exclamation mark. Only what is empty goes. */
const scripts = {
  file: "exec sh -c 'cd && if [ -h .ssh/authorized_keys ] || [ -s .ssh/authorized_keys ]; then :; else rm -f .ssh/authorized_keys; fi'",
  folder: "exec sh -c 'cd && rmdir .ssh 2>/dev/null; :'",
} as const

/**
 * Takes `~/.ssh/authorized_keys` away again where it is empty and no link: for whoever had to make it. What is not empty
 * stays, and nothing is said of it.
 * @param way by which the file was opened
 * @param withFolder whether `~/.ssh` goes, too, if nothing else is in it
 * @throws KeytoolError `unreachable`, `unsupported` where that way is closed now
 */
export async function removeEmptied(
  connection: Pick<Connection, 'exec' | 'openSubsystem'>,
  way: KeyFileWay,
  withFolder: boolean,
): Promise<void> {
  if (way === 'sftp') return removeBySftp(connection, withFolder)
  await openWhenRoom(() => connection.exec(scripts.file))
  if (withFolder) await openWhenRoom(() => connection.exec(scripts.folder))
}

async function removeBySftp(connection: Pick<Connection, 'openSubsystem'>, withFolder: boolean): Promise<void> {
  const sftp = await openSftp(connection, {})
  try {
    const folder = joinPath(await sftp.realpath(remotePath('.')), '.ssh')
    const file = joinPath(folder, 'authorized_keys')
    const found = await sftp.lstat(file).catch(() => undefined)
    if (found && isOfType(found, 'file') && found.size === 0n) await succeeds(sftp.remove(file))
    if (withFolder) await succeeds(sftp.rmdir(folder))
  } finally {
    sftp.end()
  }
}
