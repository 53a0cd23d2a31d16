import { randomBytes } from 'node:crypto'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { Duplex, PassThrough } from 'node:stream'
import { Reader, Writer } from '@keytool/keygen'
import type { Connection, RemoteSession } from '../src/connection/connection.js'
import type { Attributes } from '../src/sftp/attributes.js'
import { Frames } from '../src/sftp/frames.js'
import {
  EXTENDED,
  hello,
  type Replies,
  type ReplyName,
  type RequestName,
  type Requests,
  replies,
  requests,
} from '../src/sftp/messages.js'
import { type RemotePath, remotePath } from '../src/sftp/path.js'
import { status } from '../src/sftp/status.js'

/** What the other end of a subsystem gets and says. Raw: `onData` answers with bytes. */
export function fakeSession(onData: (chunk: Buffer, say: (bytes: Uint8Array) => void) => void): RemoteSession {
  const stream: Duplex = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      onData(chunk, bytes => stream.push(bytes))
      done()
    },
  })
  return {
    stdin: stream,
    stdout: stream,
    stderr: new PassThrough(),
    resize() {},
    signal() {},
    exit: new Promise(() => {}),
    close: () => void stream.destroy(),
  }
}

export function connectionTo(session: RemoteSession): Pick<Connection, 'openSubsystem'> {
  return { openSubsystem: async () => session }
}

export function frame(body: Uint8Array): Buffer {
  return Buffer.concat([new Writer().uint32(body.length).done(), body])
}

export const version = (...extensions: string[]): Buffer =>
  frame(extensions.reduce((w, name) => w.text(name).text('1'), new Writer().byte(hello.version).uint32(3)).done())

export function answer<N extends ReplyName>(id: number, name: N, value: Replies[N]): Buffer {
  const writer = new Writer().byte(replies[name].number).uint32(id)
  replies[name].fields.write(writer, value)
  return frame(writer.done())
}

/** A request as it came: its name, its id, and what it carries. */
export interface Asked<N extends RequestName = RequestName> {
  readonly name: N
  readonly id: number
  readonly value: Requests[N]
}

/** A server of messages: `onRequest` says what is answered to each. */
export function servedSession(
  onRequest: (asked: Asked, say: (bytes: Uint8Array) => void) => void,
  greeting: Buffer = version(),
): RemoteSession {
  const frames = new Frames()
  return fakeSession((chunk, say) => {
    frames.push(chunk)
    for (let body = frames.next(); body; body = frames.next()) {
      if (body[0] === hello.init) say(greeting)
      else onRequest(read(body), say)
    }
  })
}

function read(body: Buffer): Asked {
  const reader = new Reader(body)
  const number = reader.byte()
  const id = reader.uint32()
  const extension = number === EXTENDED ? reader.text() : undefined
  const names = Object.keys(requests) as RequestName[]
  const name = names.find(row => requests[row].number === number && requests[row].extension === extension)
  if (name === undefined) throw new Error(`message ${number} ${extension ?? ''}`)
  const value = requests[name].fields.read(reader)
  reader.end()
  return { name, id, value } as Asked
}

/** How a {@link DiskServer} differs from OpenSSH's. */
export interface DiskOptions {
  /** What it does not know. */
  readonly lacks?: readonly RequestName[]
  /** It names no extension. */
  readonly silent?: boolean
  /** `rename` onto a name that is taken. Default: refused. */
  readonly renames?: 'over' | 'refuses'
  /** Called before each request is done; what it throws refuses it with that number. */
  readonly before?: (asked: Asked) => Promise<void> | void
  /** Where one starts. Default `/home`. */
  readonly home?: string
  /** The same failure for all. */
  readonly vague?: boolean
}

/** Refuses a request with this number. */
export class No extends Error {
  readonly number: number
  constructor(number: number) {
    super(`no: ${number}`)
    this.number = number
  }
}

/** A server that shows a folder of this machine as its whole disk: as OpenSSH's does, but for what is asked to differ. */
export class DiskServer {
  readonly #root: string
  readonly #options: DiskOptions
  readonly #handles = new Map<string, fs.FileHandle | string[]>()

  constructor(root: string, options: DiskOptions = {}) {
    this.#root = root
    this.#options = options
  }

  get connection(): Pick<Connection, 'openSubsystem'> {
    return { openSubsystem: async () => this.session() }
  }

  /** Closes what a client that was cut off left open. */
  async dispose(): Promise<void> {
    for (const held of this.#handles.values()) if (!Array.isArray(held)) await held.close()
    this.#handles.clear()
  }

  session(): RemoteSession {
    const { lacks, silent } = this.#options
    const known = silent ? [] : (['posixRename', 'fsync'] as const).filter(name => !lacks?.includes(name))
    const names = known.map(name => requests[name].extension ?? '')
    return servedSession((asked, say) => void this.#serve(asked).then(say), version(...names))
  }

  async #serve(asked: Asked): Promise<Buffer> {
    const { name, id } = asked
    try {
      if (this.#options.lacks?.includes(name)) throw new No(status.unsupported)
      await this.#options.before?.(asked)
      const work = this.#work[name] as (value: never) => Promise<Buffer | undefined>
      return (await work({ ...asked.value, id } as never)) ?? answer(id, 'status', { code: status.ok, message: '' })
    } catch (error) {
      return answer(id, 'status', { code: this.#numberOf(error), message: '' })
    }
  }

  #numberOf(error: unknown): number {
    if (error instanceof No) return error.number
    const { code = '' } = error as NodeJS.ErrnoException
    if (this.#options.vague) return status.failure
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'EBADF'].includes(code)) return status.noSuchFile
    return code === 'EACCES' || code === 'EPERM' ? status.permissionDenied : status.failure
  }

  readonly #at = (path: RemotePath): string => join(this.#root, Buffer.from(path, 'latin1').toString('utf8'))

  readonly #work: {
    readonly [N in RequestName]: (value: Requests[N] & { id: number }) => Promise<Buffer | undefined>
  } = {
    realpath: async ({ id, path }) => {
      const real = path === '.' ? (this.#options.home ?? '/home') : await fs.realpath(this.#at(path))
      const inside = real.startsWith(this.#root) ? real.slice(this.#root.length) || '/' : real
      const names = [{ path: remotePath(inside), line: '', attributes: {} }]
      return answer(id, 'name', { names })
    },
    stat: async ({ id, path }) => answer(id, 'attributes', { attributes: describe(await fs.stat(this.#at(path))) }),
    lstat: async ({ id, path }) => answer(id, 'attributes', { attributes: describe(await fs.lstat(this.#at(path))) }),
    fstat: async ({ id, handle }) =>
      answer(id, 'attributes', { attributes: describe(await this.#file(handle).stat()) }),
    open: async ({ id, path, flags, attributes }) => {
      const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_APPEND } = fs.constants
      const mode = [
        flags & 2 ? O_WRONLY : O_RDONLY,
        flags & 4 && O_APPEND,
        flags & 8 && O_CREAT,
        flags & 0x20 && O_EXCL,
      ]
      const file = await fs.open(
        this.#at(path),
        mode.reduce((all, bit) => all | bit, 0),
        attributes.permissions,
      )
      return answer(id, 'handle', { handle: this.#keep(file) })
    },
    close: async ({ handle }) => {
      const held = this.#handles.get(handle.toString())
      this.#handles.delete(handle.toString())
      if (held && !Array.isArray(held)) await held.close()
      return undefined
    },
    read: async ({ id, handle, offset, length }) => {
      const { buffer, bytesRead } = await this.#file(handle).read(Buffer.alloc(length), 0, length, Number(offset))
      if (bytesRead === 0) throw new No(status.eof)
      return answer(id, 'data', { data: buffer.subarray(0, bytesRead) })
    },
    write: async ({ handle, offset, data }) =>
      void (await this.#file(handle).write(data, 0, data.length, Number(offset))),
    fsync: async ({ handle }) => void (await this.#file(handle).sync()),
    setstat: async ({ path, attributes }) => void (await fs.chmod(this.#at(path), attributes.permissions ?? 0)),
    fsetstat: async ({ handle, attributes: { permissions, uid, gid } }) => {
      if (permissions !== undefined) await this.#file(handle).chmod(permissions)
      if (uid !== undefined && gid !== undefined) await this.#file(handle).chown(uid, gid)
      return undefined
    },
    remove: async ({ path }) => fs.unlink(this.#at(path)).then(() => undefined),
    mkdir: async ({ path, attributes }) =>
      void (await fs.mkdir(this.#at(path), { mode: attributes.permissions ?? 0o777 })),
    rmdir: async ({ path }) => fs.rmdir(this.#at(path)).then(() => undefined),
    rename: async ({ from, to }) => {
      if (this.#options.renames !== 'over' && (await fs.lstat(this.#at(to)).catch(() => undefined))) {
        throw new No(status.failure)
      }
      await fs.rename(this.#at(from), this.#at(to))
      return undefined
    },
    posixRename: async ({ from, to }) => fs.rename(this.#at(from), this.#at(to)).then(() => undefined),
    readlink: async ({ id, path }) => {
      const names = [{ path: remotePath(await fs.readlink(this.#at(path))), line: '', attributes: {} }]
      return answer(id, 'name', { names })
    },
    opendir: async ({ id, path }) => answer(id, 'handle', { handle: this.#keep(await fs.readdir(this.#at(path))) }),
    readdir: async ({ id, handle }) => {
      const held = this.#handles.get(handle.toString())
      const names = Array.isArray(held) ? held.splice(0, 3) : []
      if (names.length === 0) throw new No(status.eof)
      return answer(id, 'name', {
        names: names.map(name => ({ path: remotePath(name), line: `-rw------- 1 ${name}`, attributes: {} })),
      })
    },
    statvfs: async () => {
      throw new No(status.unsupported)
    },
  }

  #keep(held: fs.FileHandle | string[]): Buffer {
    const handle = randomBytes(4).toString('hex')
    this.#handles.set(handle, held)
    return Buffer.from(handle)
  }

  #file(handle: Buffer): fs.FileHandle {
    const held = this.#handles.get(handle.toString())
    if (!held || Array.isArray(held)) throw new No(status.failure)
    return held
  }
}

function describe({ size, uid, gid, mode, mtimeMs }: Awaited<ReturnType<typeof fs.stat>>): Attributes {
  return {
    size: BigInt(size),
    uid: Number(uid),
    gid: Number(gid),
    permissions: Number(mode),
    modified: Math.floor(Number(mtimeMs) / 1000),
    accessed: 0,
  }
}
