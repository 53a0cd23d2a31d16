import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { RemotePath } from '../sftp/path.js'
import { SftpRefusal, status } from '../sftp/status.js'
import type { SftpPlace } from './sftp-place.js'

const UNTOUCHED = 'it is left as it was'

/** A trouble with reading the file, in the words of people who look after it. What is not about the file stays as it is. */
export function explainReading(place: SftpPlace, error: unknown): unknown {
  return retell(place, 'read', error)
}

/**
 * The same for writing it.
 * @param folder in which it was to be written
 */
export async function explainWriting(place: SftpPlace, folder: RemotePath, error: unknown): Promise<unknown> {
  const isVague = error instanceof SftpRefusal && error.status !== status.permissionDenied
  return retell(place, 'written', error, isVague ? await lookForRoom(place, folder) : undefined)
}

function retell({ shown }: SftpPlace, done: string, error: unknown, why?: string): unknown {
  // What was retold already, by a reading in the midst of writing, names the file.
  if (!isKeytoolError(error) || error.message.startsWith(shown.file)) return error
  const isRefusal = error instanceof SftpRefusal
  if (!isRefusal && error.code !== 'failed') return error
  const words = why ?? wordsOf(error)
  const hint = error.hint ?? hints.get(words)
  return new KeytoolError('failed', `${shown.file} on the server can't be ${done}: ${words}`, {
    reason: isRefusal ? UNTOUCHED : (error.reason ?? UNTOUCHED),
    ...(hint !== undefined && { hint }),
    cause: error,
  })
}

const READ_ONLY = 'its file system is mounted read-only'
const FULL = 'the disk is full'
const NO_FILES = 'the disk has no room for another file'

const hints: ReadonlyMap<string, string> = new Map([
  [READ_ONLY, 'look on the server why: mount'],
  [FULL, 'make room on the server: df -h ~'],
  [NO_FILES, 'make room on the server: df -i ~'],
  ['no permission', 'look at it there: ls -ld ~ ~/.ssh; lsattr -d ~/.ssh ~/.ssh/*'],
])

/** SSH_FX_FAILURE is said of all that has no number of its own; what the server adds is often just the same word. */
function wordsOf(error: KeytoolError): string {
  if (!(error instanceof SftpRefusal) || error.status !== status.failure) return error.message
  const { reason } = error
  if (reason !== undefined && !/^failure$/i.test(reason)) return reason
  return 'the server does not say why (a quota that is used up, or a file that nobody may change?)'
}

/** The file system's own word for it: `statvfs@openssh.com`. */
async function lookForRoom({ sftp }: SftpPlace, folder: RemotePath): Promise<string | undefined> {
  if (!sftp.can('statvfs')) return undefined
  const room = await sftp.statvfs(folder).catch(() => undefined)
  if (!room) return undefined
  if (room.isReadOnly) return READ_ONLY
  if (room.blocks === 0n) return FULL
  return room.allFiles > 0n && room.files === 0n ? NO_FILES : undefined
}
