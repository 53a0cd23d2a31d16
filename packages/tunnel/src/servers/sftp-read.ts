import { KeytoolError } from '@keytool/keygen'
import { isOfType } from '../sftp/attributes.js'
import { nameIn } from '../sftp/path.js'
import { refusalOf, status, unlessRefused } from '../sftp/status.js'
import { readWhole } from '../sftp/whole.js'
import { MAX_FILE, type SftpPlace } from './sftp-place.js'
import { asidePath, findTarget, isThere } from './sftp-target.js'
import { explainReading } from './sftp-trouble.js'

/** How often another may be there first, between two looks. */
const TRIES = 5

/**
 * All of the file; empty when there is none. "No such file" is believed only where folder and link say the same: servers
 * say it of a folder that is a file, and of a link to nowhere, too.
 * @throws KeytoolError as `KeyFile.read` does
 */
export async function readKeys(place: SftpPlace): Promise<Buffer> {
  const bytes = await readIfThere(place).catch(async error => {
    throw explainReading(place, error)
  })
  if (bytes) return bytes
  throw new KeytoolError('damaged', `${place.shown.file} on the server is not as it should be`, {
    reason: 'larger than 1 MiB, so it is left as it is',
  })
}

/** `undefined` when it is too large. */
async function readIfThere(place: SftpPlace): Promise<Buffer | undefined> {
  for (let tries = 1; tries <= TRIES; tries++) {
    try {
      return await readWhole(place.sftp, place.file, MAX_FILE)
    } catch (error) {
      const number = refusalOf(error)
      if (number === status.failure && !(await isListed(place))) throw sayNothing(place)
      if (number !== status.noSuchFile) throw error
    }
    const found = await readMissing(place)
    if (found !== 'again') return found
  }
  throw new KeytoolError('failed', 'others change it all the time', { hint: 'try again' })
}

function sayNothing({ shown }: SftpPlace): KeytoolError {
  return new KeytoolError('failed', 'the server says neither what is in it nor that there is none', {
    reason: 'for this server every trouble is the same failure; nothing was changed',
    hint: `make an empty ${shown.file} on the server, then try again`,
  })
}

/**
 * What it means that there is no such file: none, or one that was there the moment before or after.
 * @throws KeytoolError `failed` when something is there that can't be read
 */
async function readMissing(place: SftpPlace): Promise<Buffer | undefined | 'again'> {
  const { sftp, folder, shown } = place
  const found = await unlessRefused(sftp.stat(folder), status.noSuchFile)
  if (!found) {
    if (!(await isThere(place, folder))) return Buffer.alloc(0)
    // Another writer may have made it between the two looks.
    if (await unlessRefused(sftp.stat(folder), status.noSuchFile)) return 'again'
    throw new KeytoolError('failed', `${shown.folder} is a link to nowhere`)
  }
  if (found.permissions !== undefined && !isOfType(found, 'folder')) {
    throw new KeytoolError('failed', `${shown.folder} is no folder`)
  }
  const { path, attributes, isLinked } = await findTarget(place)
  if (attributes) return 'again'
  // What an exchange that goes on, or was cut off, has set aside; once it is gone the new one is there.
  const aside = asidePath(path)
  if (await isThere(place, aside)) {
    return (await unlessRefused(readWhole(sftp, aside, MAX_FILE), status.noSuchFile)) ?? 'again'
  }
  if (await isThere(place, path)) return 'again'
  if (!isLinked) return Buffer.alloc(0)
  throw new KeytoolError('failed', 'it is a link to a file that is not there')
}

/** Whether the folder lists the file: the last word where the server has but one for all its troubles. */
async function isListed({ sftp, folder, file }: SftpPlace): Promise<boolean> {
  const names = await sftp.list(folder).catch(() => [])
  return names.some(({ path }) => path === nameIn(file))
}
