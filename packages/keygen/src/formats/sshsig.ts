import { KeytoolError } from '../error.js'
import { decodeSignature, PublicKey, type Signature } from '../key.js'
import { Reader } from '../wire.js'
import { beginsArmor, readArmor } from './armor.js'

const LABEL = 'SSH SIGNATURE'
const MAGIC = Buffer.from('SSHSIG', 'latin1')
const VERSION = 1
/** What the message is hashed with before it is signed. */
const hashes: ReadonlySet<string> = new Set(['sha256', 'sha512'])

/** A signature over a file, OpenSSH's PROTOCOL.sshsig. */
export interface Sshsig {
  readonly version: number
  /** Who signed, as the signature claims. A certificate is possible. */
  readonly key: PublicKey
  /** What it was signed for, such as `file` or `git`: never empty. */
  readonly namespace: string
  /** What the message was hashed with. */
  readonly hash: string
  readonly signature: Signature
}

/** Whether the bytes claim to be an armoured signature. Never throws. */
export function looksLikeSshsig(bytes: Buffer): boolean {
  return beginsArmor(bytes, LABEL)
}

/**
 * What an armoured signature says. Nothing is verified: that needs the message.
 * @throws KeytoolError `damaged`; `unsupported` for another version, hash or type of key
 */
export function readSshsig(bytes: Buffer): Sshsig {
  const reader = new Reader(readArmor(bytes, LABEL))
  if (!reader.bytes(MAGIC.length).equals(MAGIC)) throw damaged('the signature does not start with "SSHSIG"')
  const version = reader.uint32()
  if (version !== VERSION) throw new KeytoolError('unsupported', `signatures of version ${version} are not supported`)
  const key = PublicKey.fromBlob(reader.string())
  const namespace = reader.text()
  // Reserved: to be ignored, whatever it holds.
  reader.string()
  const hash = reader.text(64)
  const signature = decodeSignature(reader.string())
  reader.end()
  if (namespace === '') throw damaged('the signature is for no namespace')
  if (!hashes.has(hash)) {
    throw new KeytoolError('unsupported', `the hash ${JSON.stringify(hash)} is not one of sha256 and sha512`)
  }
  const scheme = key.algorithm.schemes.find(({ name }) => name === signature.scheme)
  if (!scheme) throw damaged("the signature is of a kind that its key can't make")
  return { version, key, namespace, hash, signature }
}

function damaged(message: string): KeytoolError {
  return new KeytoolError('damaged', message)
}
