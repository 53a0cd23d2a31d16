import { blob, type Field, list, rest, struct, u32, u64 } from '@keytool/keygen'
import { type Attributes, attributes } from './attributes.js'
import { path, type RemotePath } from './path.js'

/** One message: its number, and what follows its id. */
export interface Row<T> {
  readonly number: number
  readonly fields: Field<T>
}

type At = { readonly path: RemotePath }
type Handle = { readonly handle: Buffer }
type Pair = { readonly from: RemotePath; readonly to: RemotePath }

/** What each request carries. */
export interface Requests {
  open: At & { readonly flags: number; readonly attributes: Attributes }
  close: Handle
  read: Handle & { readonly offset: bigint; readonly length: number }
  write: Handle & { readonly offset: bigint; readonly data: Buffer }
  lstat: At
  stat: At
  fstat: Handle
  setstat: At & { readonly attributes: Attributes }
  fsetstat: Handle & { readonly attributes: Attributes }
  opendir: At
  readdir: Handle
  remove: At
  mkdir: At & { readonly attributes: Attributes }
  rmdir: At
  realpath: At
  rename: Pair
  readlink: At
  posixRename: Pair
  fsync: Handle
  statvfs: At
}

/** A name as a folder or a link gives it. */
export interface Name {
  readonly path: RemotePath
  /** As `ls -l` would print it, as far as the server does: for people. */
  readonly line: string
  readonly attributes: Attributes
}

/** What each answer carries. */
export interface Replies {
  status: { readonly code: number; readonly message: string }
  handle: Handle
  data: { readonly data: Buffer }
  name: { readonly names: readonly Name[] }
  attributes: { readonly attributes: Attributes }
  /** The answer to a request that is an extension: what it holds is said by the request. */
  extended: { readonly body: Buffer }
}

/** What a file system has left: `statvfs@openssh.com`, OpenSSH's PROTOCOL section 4.4. */
export interface Room {
  /** Blocks and files that others than root may still take. */
  readonly blocks: bigint
  readonly files: bigint
  /** Files that there may be in all; 0 where there is no such limit. */
  readonly allFiles: bigint
  readonly isReadOnly: boolean
}

/** Bits of SSH_FXP_OPEN (section 6.3). */
export const flags = { read: 1, write: 2, append: 4, create: 8, exclusive: 0x20 } as const

/** More than a folder's next piece ever holds. */
const MAX_NAMES = 16_384

/** What servers say in words, in bytes: nobody is told more. */
const MAX_WORDS = 4096
/** A name, and what stands before it. */
const MAX_LINE = 8192

const at = struct({ path })
const handle = struct({ handle: blob })

/** A server's words, which need not be UTF-8, and then their language. Old servers leave both out. */
const message: Field<string> = {
  read(r) {
    if (r.left === 0) return ''
    const words = r.string(MAX_WORDS)
    if (r.left > 0) r.string(MAX_WORDS)
    return words.toString('utf8')
  },
  write: (w, value) => void w.text(value).text(''),
}

const name: Field<Name> = {
  read(r) {
    return { path: path.read(r), line: r.string(MAX_LINE).toString('latin1'), attributes: attributes.read(r) }
  },
  write(w, value) {
    path.write(w, value.path)
    w.string(Buffer.from(value.line, 'latin1'))
    attributes.write(w, value.attributes)
  },
}

/** SSH_FXP_INIT and SSH_FXP_VERSION, which have no id (draft-ietf-secsh-filexfer-02 section 4). */
export const hello = { init: 1, version: 2, speaks: 3 } as const

/** SSH_FXP_EXTENDED: the extension's name stands before its fields. */
export const EXTENDED = 200

/** Requests of protocol version 3 (draft-ietf-secsh-filexfer-02 section 6). */
export const requests: { readonly [N in keyof Requests]: Row<Requests[N]> & { readonly extension?: string } } = {
  open: { number: 3, fields: struct({ path, flags: u32, attributes }) },
  close: { number: 4, fields: handle },
  read: { number: 5, fields: struct({ handle: blob, offset: u64, length: u32 }) },
  write: { number: 6, fields: struct({ handle: blob, offset: u64, data: blob }) },
  lstat: { number: 7, fields: at },
  fstat: { number: 8, fields: handle },
  setstat: { number: 9, fields: struct({ path, attributes }) },
  fsetstat: { number: 10, fields: struct({ handle: blob, attributes }) },
  opendir: { number: 11, fields: at },
  readdir: { number: 12, fields: handle },
  remove: { number: 13, fields: at },
  mkdir: { number: 14, fields: struct({ path, attributes }) },
  rmdir: { number: 15, fields: at },
  realpath: { number: 16, fields: at },
  stat: { number: 17, fields: at },
  rename: { number: 18, fields: struct({ from: path, to: path }) },
  readlink: { number: 19, fields: at },
  // OpenSSH's PROTOCOL, section 4.
  posixRename: { number: EXTENDED, extension: 'posix-rename@openssh.com', fields: struct({ from: path, to: path }) },
  fsync: { number: EXTENDED, extension: 'fsync@openssh.com', fields: handle },
  statvfs: { number: EXTENDED, extension: 'statvfs@openssh.com', fields: at },
}

/** Every answer (section 7). */
export const replies: { readonly [N in keyof Replies]: Row<Replies[N]> } = {
  status: { number: 101, fields: struct({ code: u32, message }) },
  handle: { number: 102, fields: handle },
  data: { number: 103, fields: struct({ data: blob }) },
  name: { number: 104, fields: struct({ names: list(name, MAX_NAMES) }) },
  attributes: { number: 105, fields: struct({ attributes }) },
  extended: { number: 201, fields: struct({ body: rest }) },
}

/** `ST_RDONLY` of `f_flag`. */
const READ_ONLY = 1n

/** The answer to `statvfs`: eleven numbers. */
export const room: Field<Room> = {
  read(r) {
    const numbers = Array.from({ length: 11 }, () => r.uint64())
    const [, , , , blocks = 0n, allFiles = 0n, , files = 0n, , mountFlags = 0n] = numbers
    return { blocks, files, allFiles, isReadOnly: (mountFlags & READ_ONLY) !== 0n }
  },
  write(w, value) {
    const { blocks, files, allFiles, isReadOnly } = value
    for (const number of [
      4096n,
      4096n,
      blocks,
      blocks,
      blocks,
      allFiles,
      files,
      files,
      0n,
      isReadOnly ? READ_ONLY : 0n,
      255n,
    ])
      w.uint64(number)
  },
}

export type RequestName = keyof Requests
export type ReplyName = keyof Replies
