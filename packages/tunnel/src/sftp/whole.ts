import { KeytoolError } from '@keytool/keygen'
import { type Attributes, isOfType } from './attributes.js'
import type { Handle, Sftp } from './client.js'
import { flags } from './messages.js'
import type { RemotePath } from './path.js'

/** What every server takes and gives in one message, in bytes (draft-ietf-secsh-filexfer-02 section 3). */
const PIECE = 32 * 1024

/**
 * All of a file.
 * @param cap in bytes
 * @returns `undefined` when it is larger than the cap
 * @throws SftpRefusal when the server says no; KeytoolError `failed` for what is no plain file, `unreachable`, `damaged`
 */
export async function readWhole(sftp: Sftp, path: RemotePath, cap: number): Promise<Buffer | undefined> {
  // Before it is opened: a server that opens a pipe waits for ever.
  const { permissions } = await sftp.stat(path)
  if (permissions !== undefined && !isOfType({ permissions }, 'file')) {
    throw new KeytoolError('failed', 'it is no plain file')
  }
  const handle = await sftp.open(path, flags.read)
  try {
    return await readFrom(sftp, handle, 0, cap)
  } finally {
    await sftp.close(handle).catch(() => {})
  }
}

/** What an open file holds from `start` on; `undefined` when that is more than the cap. */
export async function readFrom(sftp: Sftp, handle: Handle, start: number, cap: number): Promise<Buffer | undefined> {
  const pieces: Buffer[] = []
  for (let length = 0; length <= cap; ) {
    const piece = await sftp.read(handle, start + length, PIECE)
    if (!piece) return Buffer.concat(pieces)
    pieces.push(piece)
    length += piece.length
  }
  return undefined
}

/**
 * Makes a file that was not there, and has it on the disk when this returns, where the server can.
 * @param finish is done with the file open, when all was written
 * @throws SftpRefusal when the server says no, also where the name is taken; then, or when `finish` throws, what was made
 * is taken away again
 */
export async function writeNew(
  sftp: Sftp,
  path: RemotePath,
  bytes: Buffer,
  attributes: Attributes,
  finish: (handle: Handle) => Promise<void> = async () => {},
): Promise<void> {
  const handle = await sftp.open(path, flags.write | flags.create | flags.exclusive, attributes)
  let isOpen = true
  try {
    for (let at = 0; at < bytes.length; at += PIECE) await sftp.write(handle, at, bytes.subarray(at, at + PIECE))
    await finish(handle)
    if (sftp.can('fsync')) await sftp.fsync(handle)
    isOpen = false
    // Some file systems say only now that there was no room.
    await sftp.close(handle)
  } catch (error) {
    if (isOpen) await sftp.close(handle).catch(() => {})
    await sftp.remove(path).catch(() => {})
    throw error
  }
}
