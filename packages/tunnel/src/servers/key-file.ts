import type { Connection } from '../connection/connection.js'

/** The file that says which keys let one user in: authorized_keys on a server, whatever way leads to it. */
export interface KeyFile {
  /** As people there know it, such as `~/.ssh/authorized_keys`. It comes from the server: shown escaped only. */
  readonly path: string
  readonly way: KeyFileWay
  /**
   * All of it as it stands; empty when there is none.
   * @throws KeytoolError `failed` when it is there but can't be read, `damaged` over 1 MiB, `unreachable`
   */
  read(): Promise<Buffer>
  /**
   * Puts `after` in the place of `before`, whole or not at all: whoever reads meanwhile sees one of them. What is
   * missing (folder, file) is made for its user alone; modes, owner, label and links of what is there stay.
   * @returns whether it was done; false when the file is not `before` any more, and then nothing was changed
   * @throws KeytoolError `failed` with what stood in the way (read-only, full, quota, no permission), `unreachable`
   */
  replace(before: Buffer, after: Buffer): Promise<boolean>
  /** What may keep sshd from heeding the file: its modes and owners (StrictModes), SELinux's label. Changes nothing. */
  examine(): Promise<readonly KeyFileFinding[]>
}

export type KeyFileWay = 'shell' | 'sftp'

export interface KeyFileFinding {
  readonly kind: 'writable-by-others' | 'foreign-owner' | 'unreadable' | 'missing' | 'selinux' | 'not-a-file'
  /** What it is about: the home folder, `.ssh`, the file, or a folder between. Foreign: shown escaped. */
  readonly path: string
  /** One sentence, without what to do: `~/.ssh may be written by its group (mode 0775)`. Escaped already. */
  readonly text: string
  /** The command to type on the server that mends it, such as `chmod go-w ~/.ssh`. Escaped and quoted already. */
  readonly remedy: string
}

export interface OpenKeyFileOptions {
  /** Default: a shell, and SFTP where there is none (no shell, a forced command, nologin). */
  readonly way?: KeyFileWay
}

export type OpenKeyFile = (
  connection: Pick<Connection, 'exec' | 'openSubsystem'>,
  options?: OpenKeyFileOptions,
) => Promise<KeyFile>
