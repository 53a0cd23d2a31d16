import { KeytoolError, Reader } from '@keytool/keygen'
import type { Connection } from '../connection/connection.js'
import type { Attributes } from './attributes.js'
import { SftpChannel, type SftpOptions } from './channel.js'
import { type Name, type Room, requests, room } from './messages.js'
import type { RemotePath } from './path.js'
import { status, unlessRefused } from './status.js'

/** A file that is open there. */
export type Handle = Buffer

/** Names that are read of one folder; more is not a folder people keep keys in. */
const MAX_LISTED = 100_000
/** What they may be in all, in characters: a server may say 12 KiB of each. */
const MAX_SAID = 16 * 1024 * 1024

/**
 * SFTP version 3 (draft-ietf-secsh-filexfer-02, with OpenSSH's extensions) as far as it is used here. Every method
 * throws `SftpRefusal` with the server's number when it says no, and KeytoolError `unreachable` or `damaged`.
 */
export class Sftp {
  readonly #channel: SftpChannel

  private constructor(channel: SftpChannel) {
    this.#channel = channel
  }

  /**
   * Opens the subsystem.
   * @throws KeytoolError `refused` where the server has none, `unsupported` where it starts something else in its place,
   * `unreachable`
   */
  static async open(connection: Pick<Connection, 'openSubsystem'>, options: SftpOptions = {}): Promise<Sftp> {
    return new Sftp(await SftpChannel.open(await connection.openSubsystem('sftp'), options))
  }

  /** Whether the server says that it knows how to. */
  can(extension: 'posixRename' | 'fsync' | 'statvfs'): boolean {
    return this.#channel.knows(requests[extension].extension ?? '')
  }

  /** The path from the root on; for `.` the folder in which one starts. */
  async realpath(path: RemotePath): Promise<RemotePath> {
    return this.#one(await this.#channel.ask('realpath', { path }, 'name'))
  }

  async readlink(path: RemotePath): Promise<RemotePath> {
    return this.#one(await this.#channel.ask('readlink', { path }, 'name'))
  }

  async stat(path: RemotePath): Promise<Attributes> {
    return (await this.#channel.ask('stat', { path }, 'attributes')).attributes
  }

  /** Of a link itself. */
  async lstat(path: RemotePath): Promise<Attributes> {
    return (await this.#channel.ask('lstat', { path }, 'attributes')).attributes
  }

  async fstat(handle: Handle): Promise<Attributes> {
    return (await this.#channel.ask('fstat', { handle }, 'attributes')).attributes
  }

  /** Owners are set where both are given. */
  setstat(path: RemotePath, attributes: Attributes): Promise<void> {
    return this.#channel.do('setstat', { path, attributes })
  }

  fsetstat(handle: Handle, attributes: Attributes): Promise<void> {
    return this.#channel.do('fsetstat', { handle, attributes })
  }

  /** @param flags a sum of `flags` in messages.ts */
  async open(path: RemotePath, flags: number, attributes: Attributes = {}): Promise<Handle> {
    return (await this.#channel.ask('open', { path, flags, attributes }, 'handle')).handle
  }

  close(handle: Handle): Promise<void> {
    return this.#channel.do('close', { handle })
  }

  /** Up to `length` bytes from `offset` on; `undefined` at the end. */
  async read(handle: Handle, offset: number, length: number): Promise<Buffer | undefined> {
    const asked = this.#channel.ask('read', { handle, offset: BigInt(offset), length }, 'data')
    const data = (await unlessRefused(asked, status.eof))?.data
    if (data && (data.length === 0 || data.length > length)) {
      throw new KeytoolError('damaged', 'the server breaks the SFTP protocol', {
        reason: `${data.length} bytes for ${length} that were asked for`,
      })
    }
    return data
  }

  write(handle: Handle, offset: number, data: Buffer): Promise<void> {
    return this.#channel.do('write', { handle, offset: BigInt(offset), data })
  }

  /** Has what was written reach the disk. */
  fsync(handle: Handle): Promise<void> {
    return this.#channel.do('fsync', { handle })
  }

  remove(path: RemotePath): Promise<void> {
    return this.#channel.do('remove', { path })
  }

  mkdir(path: RemotePath, attributes: Attributes): Promise<void> {
    return this.#channel.do('mkdir', { path, attributes })
  }

  rmdir(path: RemotePath): Promise<void> {
    return this.#channel.do('rmdir', { path })
  }

  /** The protocol's own: servers differ in what they do with a `to` that is there. */
  rename(from: RemotePath, to: RemotePath): Promise<void> {
    return this.#channel.do('rename', { from, to })
  }

  /** As POSIX has it: `to` is exchanged in one go. */
  posixRename(from: RemotePath, to: RemotePath): Promise<void> {
    return this.#channel.do('posixRename', { from, to })
  }

  /** What is left on the file system that holds the path. */
  async statvfs(path: RemotePath): Promise<Room> {
    const { body } = await this.#channel.ask('statvfs', { path }, 'extended')
    const reader = new Reader(body)
    const found = room.read(reader)
    reader.end()
    return found
  }

  /**
   * All that a folder holds, `.` and `..` included.
   * @throws KeytoolError `damaged` for a folder without end
   */
  async list(path: RemotePath): Promise<readonly Name[]> {
    const { handle } = await this.#channel.ask('opendir', { path }, 'handle')
    try {
      const listed: Name[] = []
      let said = 0
      for (;;) {
        const piece = await unlessRefused(this.#channel.ask('readdir', { handle }, 'name'), status.eof)
        if (!piece) return listed
        listed.push(...piece.names)
        said += piece.names.reduce((sum, { path, line }) => sum + path.length + line.length, 0)
        if (piece.names.length === 0 || listed.length > MAX_LISTED || said > MAX_SAID) {
          throw new KeytoolError('damaged', 'the server lists a folder without end')
        }
      }
    } finally {
      await this.close(handle).catch(() => {})
    }
  }

  /** Ends the subsystem; the connection goes on. */
  end(): void {
    this.#channel.close()
  }

  #one({ names }: { readonly names: readonly Name[] }): RemotePath {
    const [only, ...others] = names
    if (only && others.length === 0) return only.path
    throw new KeytoolError('damaged', 'the server breaks the SFTP protocol', {
      reason: `${names.length} names for one`,
    })
  }
}
