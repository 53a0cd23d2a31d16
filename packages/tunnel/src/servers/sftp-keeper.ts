import { KeytoolError } from '@keytool/keygen'
import { isOfType, modeOf } from '../sftp/attributes.js'
import { folderOf, joinPath, nameIn, type RemotePath } from '../sftp/path.js'
import { refusalOf, status, unlessRefused } from '../sftp/status.js'
import type { KeyFile, KeyFileFinding, KeyFileWay } from './key-file.js'
import { examineModes } from './sftp-examine.js'
import { type LockClock, takeLock } from './sftp-lock.js'
import { MAX_FILE, type SftpPlace } from './sftp-place.js'
import { readKeys } from './sftp-read.js'
import { restoreAside, swap } from './sftp-swap.js'
import { findTarget } from './sftp-target.js'
import { explainWriting } from './sftp-trouble.js'

const PRIVATE_FOLDER = 0o700
/** Left-overs of one that was cut off: the names of what is there for a moment only, and under the lock. */
const LEFT_OVER = /^\.(administrators_)?authorized_keys\.keytool-(new|clock)(-[0-9a-f]{16})?$/

/** One file of keys on one server, by SFTP. */
export class SftpKeeper implements KeyFile {
  readonly path: string
  readonly way: KeyFileWay = 'sftp'
  readonly #place: SftpPlace
  readonly #clock: LockClock

  constructor(place: SftpPlace, clock: LockClock) {
    this.path = place.shown.file
    this.#place = place
    this.#clock = clock
  }

  read(): Promise<Buffer> {
    return readKeys(this.#place)
  }

  async replace(before: Buffer, after: Buffer): Promise<boolean> {
    const { folder } = this.#place
    if (after.length > MAX_FILE) {
      throw new KeytoolError('damaged', `${this.path} would be larger than 1 MiB`, { reason: 'nothing was changed' })
    }
    let at = folder
    let isDone = false
    let isMade = false
    try {
      isMade = await this.#makeFolder()
      isDone = await this.#replaceLocked(before, after, path => {
        at = path
      })
      return isDone
    } catch (error) {
      throw await explainWriting(this.#place, at, error)
    } finally {
      // Ours, and empty again; one in which somebody made something meanwhile stays.
      if (isMade && !isDone) await this.#place.sftp.rmdir(folder).catch(() => {})
    }
  }

  examine(): Promise<readonly KeyFileFinding[]> {
    return examineModes(this.#place)
  }

  /** @param onFolder told where the file really lies, as soon as that is known */
  async #replaceLocked(before: Buffer, after: Buffer, onFolder: (path: RemotePath) => void): Promise<boolean> {
    const place = this.#place
    const shown = `${place.shown.folder}${place.hasModes ? '/' : '\\'}${nameIn(place.lock)}`
    const lock = await takeLock(place.sftp, place.lock, shown, this.#clock)
    try {
      let target = await findTarget(place)
      onFolder(folderOf(target.path))
      if (await restoreAside(place, target)) target = await findTarget(place)
      if (lock.tookOver) await this.#sweep(folderOf(target.path))
      if (lock.waited && !(await readKeys(place)).equals(before)) return false
      return await swap(place, target, before, after, () => lock.check())
    } finally {
      await lock.release()
    }
  }

  /** True when it was made here. */
  async #makeFolder(): Promise<boolean> {
    const { sftp, home, folder, hasModes } = this.#place
    if (await this.#hasFolder()) return false
    if (home === '/') {
      // Where sshd finds no home it starts in the root.
      throw new KeytoolError('failed', 'the home folder is /, or there is none', {
        hint: 'if / is meant, make /.ssh on the server first',
      })
    }
    try {
      await sftp.mkdir(folder, { permissions: PRIVATE_FOLDER })
    } catch (error) {
      if (refusalOf(error) !== undefined && (await this.#hasFolder())) return false
      throw error
    }
    if (hasModes && modeOf(await sftp.stat(folder)) !== PRIVATE_FOLDER) {
      await sftp.setstat(folder, { permissions: PRIVATE_FOLDER })
    }
    return true
  }

  async #hasFolder(): Promise<boolean> {
    const { sftp, folder } = this.#place
    const found = await unlessRefused(sftp.stat(folder), status.noSuchFile)
    return found !== undefined && (found.permissions === undefined || isOfType(found, 'folder'))
  }

  /** What others left who were cut off. Only under the lock. */
  async #sweep(folder: RemotePath): Promise<void> {
    const { sftp } = this.#place
    const names = await sftp.list(folder).catch(() => [])
    for (const { path } of names.filter(name => LEFT_OVER.test(name.path))) {
      await sftp.remove(joinPath(folder, path)).catch(() => {})
    }
  }
}
