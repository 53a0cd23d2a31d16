import { KeytoolError } from '@keytool/keygen'
import { type Attributes, modeOf } from '../sftp/attributes.js'
import type { Handle, Sftp } from '../sftp/client.js'
import { flags } from '../sftp/messages.js'
import { folderOf, joinPath, nameIn, type RemotePath, showPath } from '../sftp/path.js'
import { succeeds } from '../sftp/status.js'
import { readFrom, writeNew } from '../sftp/whole.js'
import { MAX_FILE, type SftpPlace } from './sftp-place.js'
import { readKeys } from './sftp-read.js'
import { asidePath, isThere, type Target } from './sftp-target.js'
import { wordOf } from './shell-words.js'

/** Of a new file: its user's alone. */
const PRIVATE = 0o600
const MODE = 0o777
const NEWLINE = 10

/**
 * Writes a new file beside the target and puts it in its place, if the target still holds `before`.
 * @param stillOurs throws when nothing may be changed any more
 * @returns false when it holds something else; nothing is changed then
 */
export async function swap(
  place: SftpPlace,
  target: Target,
  before: Buffer,
  after: Buffer,
  stillOurs: () => void,
): Promise<boolean> {
  const { sftp, hasModes } = place
  const { path, attributes } = target
  if (hasModes) await refuseOtherNames(sftp, target)
  const made = joinPath(folderOf(path), place.temporaryName())
  const finish = (handle: Handle) => (hasModes ? takeAfter(sftp, handle, attributes) : Promise.resolve())
  await writeNew(sftp, made, after, { permissions: PRIVATE }, finish)
  let isDone = false
  try {
    await place.prepare()
    if (!(await readKeys(place)).equals(before)) return false
    stillOurs()
    const put = async () => {
      isDone = attributes ? await exchange(sftp, made, path) : await putNew(sftp, made, path)
    }
    // Windows renames nothing into the place of a file that is open.
    if (attributes && hasModes) await carryOver(sftp, path, before.length, after, put)
    else await put()
    return isDone
  } finally {
    if (!isDone) await sftp.remove(made).catch(() => {})
  }
}

/**
 * Does the exchange with the old file open, which then shows what another program appended to it in the last moment: that
 * is appended to the new one, too.
 */
async function carryOver(
  sftp: Sftp,
  path: RemotePath,
  length: number,
  after: Buffer,
  put: () => Promise<void>,
): Promise<void> {
  const old = await sftp.open(path, flags.read)
  try {
    await put()
    const late = await readFrom(sftp, old, length, MAX_FILE)
    if (!late || late.length === 0) return
    const gap = after.length === 0 || after.at(-1) === NEWLINE ? [] : [NEWLINE]
    const handle = await sftp.open(path, flags.write | flags.append)
    await sftp.write(handle, after.length, Buffer.concat([Buffer.from(gap), late])).finally(() => sftp.close(handle))
  } finally {
    await sftp.close(old).catch(() => {})
  }
}

/** The number of its names, as the server's `ls -l` has it: where it says that there are others, they would stay behind. */
async function refuseOtherNames(sftp: Sftp, { path, attributes }: Target): Promise<void> {
  if (!attributes) return
  const listed = await sftp.list(folderOf(path)).catch(() => [])
  const line = listed.find(name => name.path === nameIn(path))?.line ?? ''
  const names = /^-[-a-zA-Z]{9}\S?\s+(\d{1,9})\s/.exec(line)?.[1]
  if (names === undefined || Number(names) < 2) return
  throw new KeytoolError('failed', 'it has other names, which would stay behind', {
    hint: 'it is one file under several names (hard links): find / -samefile ~/.ssh/authorized_keys shows them',
  })
}

/** Gives the new file the mode and owners of the old one. */
async function takeAfter(sftp: Sftp, handle: Handle, old: Attributes | undefined): Promise<void> {
  const now = await sftp.fstat(handle)
  const mode = (modeOf(old ?? {}) ?? PRIVATE) & MODE
  const { uid, gid } = old ?? now
  if (uid !== undefined && gid !== undefined && (uid !== now.uid || gid !== now.gid)) {
    const isGiven = await succeeds(sftp.fsetstat(handle, { uid, gid }))
    if (!isGiven && (uid !== now.uid || groupMatters(mode))) {
      throw new KeytoolError('failed', 'it belongs to another user or group, and would not afterwards', {
        reason: `user and group of it are ${uid} and ${gid}, of a new file ${now.uid} and ${now.gid}; it is left as it was`,
        hint: 'make it your own on the server (chown), or change it as its owner',
      })
    }
  }
  // Behind the owners: changing them takes some bits away.
  const has = modeOf(now)
  if (has === undefined || (has & MODE) === mode) return
  await sftp.fsetstat(handle, { permissions: mode })
  if (((modeOf(await sftp.fstat(handle)) ?? mode) & MODE) === mode) return
  throw new KeytoolError('failed', 'the server does not give a new file the mode of the old one')
}

/** Whether the group may do more, or less, than everybody. */
function groupMatters(mode: number): boolean {
  return ((mode >> 3) & 7) !== (mode & 7)
}

/** Where there was none: the protocol's own rename, for which a name that is taken is a no. False when it is by now. */
async function putNew(sftp: Sftp, made: RemotePath, path: RemotePath): Promise<boolean> {
  try {
    await sftp.rename(made, path)
    return true
  } catch (error) {
    if (await isThere({ sftp }, path)) return false
    throw error
  }
}

/**
 * In one go where the server can. Where it can't, the old file is set aside first, and put back if the new one does not
 * get its place: for that moment there is none, and whoever finds it so reads the one set aside.
 */
async function exchange(sftp: Sftp, made: RemotePath, path: RemotePath): Promise<true> {
  if (await renameAtOnce(sftp, made, path)) return true
  const aside = asidePath(path)
  await sftp.remove(aside).catch(() => {})
  await sftp.rename(path, aside)
  try {
    await sftp.rename(made, path)
  } catch (error) {
    if (await succeeds(sftp.rename(aside, path))) throw error
    throw new KeytoolError('failed', 'the server lets neither the new file nor the old one into its place', {
      reason: `the old one is ${showPath(aside)}`,
      hint: `at once, on the server: mv ${typed(aside)} ${typed(path)}`,
      cause: error,
    })
  }
  await sftp.remove(aside).catch(() => {})
  return true
}

/** As a word of a command: the server may call its folders what it likes. */
function typed(path: RemotePath): string {
  return wordOf(Buffer.from(path, 'latin1').toString('utf8'))
}

/** Tried also where the server does not say that it knows how: paramiko's does, and some rename so by themselves. */
async function renameAtOnce(sftp: Sftp, made: RemotePath, path: RemotePath): Promise<boolean> {
  if (!sftp.can('posixRename')) {
    return (await succeeds(sftp.posixRename(made, path))) || (await succeeds(sftp.rename(made, path)))
  }
  await sftp.posixRename(made, path)
  return true
}

/** Puts back what an exchange that was cut off has set aside. Only under the lock. */
export async function restoreAside({ sftp }: SftpPlace, target: Target): Promise<boolean> {
  const aside = asidePath(target.path)
  if (target.attributes || !(await isThere({ sftp }, aside))) return false
  await sftp.rename(aside, target.path)
  return true
}
