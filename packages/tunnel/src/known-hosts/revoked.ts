import { readIfThere } from '@keytool/agent/platform'
import { isKeytoolError, KeytoolError, typeOfBlob } from '@keytool/keygen'
import type { Place } from './entries.js'
import { findShown } from './verdict.js'

/** How a key revocation list begins (OpenSSH's PROTOCOL.krl). */
const KRL = Buffer.from('SSHKRL\n\0', 'latin1')
/** Far more than anybody revokes by hand. */
const MAX_LINES = 100_000

export interface RevokedKey {
  readonly place: Place
  readonly blob: Buffer
}

/**
 * Looks for what a server shows in files of revoked keys (ssh's RevokedHostKeys): one public key a line. As with ssh, a file
 * that can't be read refuses every host; stricter than there, so does a line that can't.
 * @param shorten a path as it may be shown
 * @throws KeytoolError `refused` for a file that can't be read; `damaged` for a line that is none; `unsupported` for a key
 * revocation list
 */
export async function findRevokedIn(
  files: readonly string[],
  blob: Buffer,
  shorten: (path: string) => string,
): Promise<RevokedKey | undefined> {
  for (const path of files) {
    const file = shorten(path)
    const found = findShown(blob, readRevoked(file, await readRevocations(path, file)))
    if (found) return found
  }
  return undefined
}

async function readRevocations(path: string, file: string): Promise<Buffer> {
  const failed = (reason: string, cause?: unknown) =>
    new KeytoolError('refused', `no host key is accepted: ${file} can't be read`, {
      reason: `RevokedHostKeys names it: ${reason}`,
      hint: 'mend the file, take the line out of ssh_config, or pass -F none',
      cause,
    })
  const bytes = await readIfThere(path).catch(error => {
    throw failed(isKeytoolError(error) ? error.message : String(error), error)
  })
  if (!bytes) throw failed('it is not there')
  return bytes
}

function readRevoked(file: string, bytes: Buffer): RevokedKey[] {
  if (bytes.subarray(0, KRL.length).equals(KRL)) {
    throw new KeytoolError('unsupported', `${file} is a key revocation list, which is not looked up here`, {
      reason: 'RevokedHostKeys names it',
      hint: 'name a file with one public key a line',
    })
  }
  const lines = bytes.toString('latin1').split('\n')
  if (lines.length > MAX_LINES) throw new KeytoolError('damaged', `${file} has more than ${MAX_LINES} lines`)
  return lines.flatMap((text, index) => {
    const [type, base64] = text.trim().split(/[ \t]+/)
    if (!type || type.startsWith('#')) return []
    const place = { file, line: index + 1 }
    const blob = Buffer.from(base64 ?? '', 'base64')
    if (typeOfBlob(blob) === type) return [{ place, blob }]
    throw new KeytoolError('damaged', `${file} line ${place.line}: that is no public key`, {
      reason: 'RevokedHostKeys names it, and what it says can not be passed over',
    })
  })
}
