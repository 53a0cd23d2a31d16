import { KeytoolError } from '../../error.js'
import { stripZeros } from '../../wire.js'
import type { JwkMembers } from './form.js'

/** Of a number, in bytes. Above every key that is supported. */
const MAX_NUMBER = 2048

/** base64url without padding (RFC 7515 appendix C), in its one canonical spelling. Throws `damaged`. */
export function decodeMember(members: JwkMembers, name: string): Buffer {
  const text = members[name]
  if (text === undefined) throw damaged(`the member "${name}" is missing`)
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text) throw damaged(`the member "${name}" is not base64url`)
  return bytes
}

/** A member that has exactly so many bytes. Throws `damaged`. */
export function decodeExactly(members: JwkMembers, name: string, size: number): Buffer {
  const bytes = decodeMember(members, name)
  if (bytes.length === size) return bytes
  throw damaged(`the member "${name}" has ${bytes.length} bytes instead of ${size}`)
}

/** A Base64urlUInt (RFC 7518 section 2): a number above zero, without leading zeros. Throws `damaged`. */
export function decodeNumber(members: JwkMembers, name: string): Buffer {
  const bytes = decodeMember(members, name)
  if (bytes.length === 0 || bytes[0] === 0)
    throw damaged(`the member "${name}" has needless leading zeros, or no bytes`)
  if (bytes.length > MAX_NUMBER) throw damaged(`the member "${name}" is too long to be of a key`)
  return bytes
}

/** The reverse of {@link decodeMember}. */
export function encodeMember(bytes: Buffer): string {
  return bytes.toString('base64url')
}

/** The reverse of {@link decodeNumber}. */
export function encodeNumber(value: Buffer): string {
  return encodeMember(stripZeros(value))
}

function damaged(message: string): KeytoolError {
  return new KeytoolError('damaged', `the JWK can be no key: ${message}`)
}
