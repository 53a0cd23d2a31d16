import type { Sftp } from '../sftp/client.js'
import type { RemotePath } from '../sftp/path.js'

/** The most an authorized_keys may hold, in bytes: nobody keeps more by hand. */
export const MAX_FILE: number = 1 << 20

/** Where a file of keys lies on one server. */
export interface SftpPlace {
  readonly sftp: Sftp
  /** Up to here sshd looks who may write; `undefined` on Windows, where it looks for other things. */
  readonly home: RemotePath | undefined
  readonly folder: RemotePath
  readonly file: RemotePath
  /** The two as people there know them, ready to be shown. */
  readonly shown: { readonly folder: string; readonly file: string }
  /** The file that all who write here make first: see `takeLock`. */
  readonly lock: RemotePath
  /** What the new file is called until it takes its place. */
  readonly temporaryName: () => string
  /** False on Windows: what SFTP says of modes and owners is made up there. */
  readonly hasModes: boolean
  /** What the new file still lacks, before it takes its place. */
  readonly prepare: () => Promise<void>
}
