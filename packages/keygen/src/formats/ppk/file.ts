import { KeytoolError } from '../../error.js'
import { PublicKey } from '../../key.js'
import { decodeComment } from '../comment.js'
import { PpkLines } from './lines.js'
import { CIPHER, claimedVersion, type Derivation, type Header, MAGIC, type PpkVersion } from './version.js'

/** A PPK file as it stands, nothing decrypted. */
export interface PpkFile extends Header {
  /** The public half; of a file with a certificate, that certificate. */
  readonly publicKey: PublicKey
  /** Absent where nothing is encrypted. */
  readonly derivation: Derivation | undefined
  readonly privateBlob: Buffer
  readonly mac: { readonly name: string; readonly bytes: Buffer }
}

/** PuTTY manual, appendix C.2. Throws `damaged` with the offset, or `unsupported`. */
export function parsePpk(version: PpkVersion, bytes: Buffer): PpkFile {
  checkVersion(version, bytes)
  const lines = new PpkLines(bytes)
  const type = lines.value(`${MAGIC}${version.number}`)
  const encryption = lines.value('Encryption')
  if (encryption !== 'none' && encryption !== CIPHER.name) {
    throw new KeytoolError('unsupported', `the cipher ${JSON.stringify(encryption.slice(0, 64))} is not one of PPK's`)
  }
  const comment = lines.raw('Comment')
  const publicBlob = lines.base64('Public-Lines')
  const derivation = encryption === 'none' ? undefined : version.readDerivation(lines)
  const privateBlob = lines.base64('Private-Lines')
  const mac = lines.lastHex(version.macNames, version.macSize)
  lines.end()
  const publicKey = PublicKey.fromBlob(publicBlob, decodeComment(comment))
  if (publicKey.algorithm.name !== type) {
    throw new KeytoolError('damaged', 'the file names another type than its public key has')
  }
  return { type, encryption, comment, publicBlob, publicKey, derivation, privateBlob, mac }
}

function checkVersion({ number }: PpkVersion, bytes: Buffer): void {
  const claimed = claimedVersion(bytes)
  if (claimed === undefined || claimed === String(number) || !/^\d{1,9}$/.test(claimed)) return
  throw new KeytoolError('unsupported', `PPK files of version ${claimed} are not supported`, {
    hint: 'puttygen saves a file as version 3 with --ppk-param version=3',
  })
}
