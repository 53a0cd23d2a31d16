import { KeytoolError } from '@keytool/keygen'
import { type Attributes, isOfType } from '../sftp/attributes.js'
import { folderOf, followLink, joinPath, type RemotePath } from '../sftp/path.js'
import { status, unlessRefused } from '../sftp/status.js'
import type { SftpPlace } from './sftp-place.js'

/** As many links one behind the other as Linux follows. */
const MAX_LINKS = 40

/** The file itself, behind all links. */
export interface Target {
  readonly path: RemotePath
  /** Absent where there is no such file. */
  readonly attributes: Attributes | undefined
  readonly isLinked: boolean
}

/**
 * Follows the links one by one: what a server makes of them by itself differs.
 * @throws SftpRefusal; KeytoolError `failed` for what is no plain file, or links that lead round in a circle
 */
export async function findTarget({ sftp, file }: SftpPlace): Promise<Target> {
  let path = file
  for (let links = 0; links <= MAX_LINKS; links++) {
    const attributes = await unlessRefused(sftp.lstat(path), status.noSuchFile)
    const isEnd = !attributes || attributes.permissions === undefined || isOfType(attributes, 'file')
    if (isEnd) return { path, attributes, isLinked: links > 0 }
    if (!isOfType(attributes, 'link')) throw new KeytoolError('failed', 'it is no plain file')
    path = followLink(path, await sftp.readlink(path))
  }
  throw new KeytoolError('failed', 'it is a link that leads round in a circle')
}

/** Where the old file lies for the moment in which a server that can't exchange files has neither in place. */
export function asidePath(target: RemotePath): RemotePath {
  return joinPath(folderOf(target), '.authorized_keys.keytool-old')
}

/** Whether anything is there, were it a link to nowhere. */
export async function isThere({ sftp }: Pick<SftpPlace, 'sftp'>, path: RemotePath): Promise<boolean> {
  return (await unlessRefused(sftp.lstat(path), status.noSuchFile)) !== undefined
}
