import { KeytoolError } from '../error.js'

/**
 * The bytes between `-----BEGIN label-----` and `-----END label-----` (RFC 7468 in spirit; OpenSSH wraps at 70).
 * Throws `damaged` with the offset of what is wrong: a missing end, a character that is not base64, a bad length.
 */
export function readArmor(bytes: Buffer, label: string): Buffer {
  const text = bytes.toString('latin1')
  const begin = `-----BEGIN ${label}-----`
  const end = `-----END ${label}-----`
  const from = text.indexOf(begin) + begin.length
  const to = text.indexOf(end, from)
  if (to < 0) {
    throw new KeytoolError('damaged', `the line "${end}" is missing: the file is cut short (at byte ${bytes.length})`, {
      offset: bytes.length,
    })
  }
  return decodeBase64(text.slice(from, to), from)
}

export function writeArmor(bytes: Uint8Array, label: string): Buffer {
  const lines = wrapBase64(bytes, 70)
  return Buffer.from(`-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`, 'latin1')
}

/** Base64 in lines of `width` characters. */
export function wrapBase64(bytes: Uint8Array, width: number): string[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
  return text.match(new RegExp(`.{1,${width}}`, 'g')) ?? []
}

/**
 * Strict base64 (RFC 4648 section 4) with white space allowed between.
 * @param at offset of the text within its file, for errors
 */
export function decodeBase64(text: string, at: number): Buffer {
  const bad = text.search(/[^A-Za-z0-9+/=\s]|=[^=\s]/)
  if (bad >= 0) throw damaged('a character is not base64', at + bad)
  const packed = text.replace(/\s+/g, '')
  const bytes = Buffer.from(packed, 'base64')
  if (bytes.toString('base64') !== packed) throw damaged('the base64 does not end properly', at + text.trimEnd().length)
  return bytes
}

function damaged(message: string, offset: number): KeytoolError {
  return new KeytoolError('damaged', `${message} (at byte ${offset})`, { offset })
}
