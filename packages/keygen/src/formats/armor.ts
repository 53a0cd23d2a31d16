import { damagedAt } from '../error.js'

/** All that counts as white space here. `\s` would take NBSP and vertical tabs for it, which no other reader does. */
const WHITE = new Set([' ', '\t', '\r', '\n'])
/** As far as a beginning is looked for. In bytes. */
const HEAD = 4096

/** Whether the bytes begin, after white space, with the line `-----BEGIN label-----`. Never throws. */
export function beginsArmor(bytes: Buffer, label: string): boolean {
  const text = bytes.toString('latin1', 0, HEAD)
  return text.startsWith(`-----BEGIN ${label}-----`, skipWhite(text, 0))
}

/**
 * The bytes between `-----BEGIN label-----` and `-----END label-----`, which stand on lines of their own with nothing but
 * white space around them (RFC 7468 in spirit; OpenSSH wraps at 70). The caller wipes them where they are secret.
 *
 * Throws `damaged` with the offset of what is wrong: a missing end, a character that is not base64, a bad length.
 */
export function readArmor(bytes: Buffer, label: string): Buffer {
  const text = bytes.toString('latin1')
  const begin = `-----BEGIN ${label}-----`
  const end = `-----END ${label}-----`
  const start = skipWhite(text, 0)
  if (!text.startsWith(begin, start)) throw damagedAt(`the file does not begin with "${begin}"`, start)
  const from = start + begin.length
  const to = text.indexOf(`\n${end}`, from) + 1
  if (to === 0) {
    throw damagedAt(`the line "${end}" is missing: the file is cut short`, bytes.length)
  }
  if (!/^[ \t]*\r?\n/.test(text.slice(from, from + HEAD))) throw damagedAt('there is more on the first line', from)
  // One bit makes a tab of a carriage return: where lines end with CR LF, none ends with a tab and LF.
  const block = text.slice(start, to + end.length + 2)
  const odd = block.includes('\r') ? block.search(/\t\n|\r[^\n]/) : -1
  if (odd >= 0) throw damagedAt('a line ends in another way than the others', start + odd)
  const after = skipWhite(text, to + end.length)
  if (after < text.length) throw damagedAt('there is more after the last line', after)
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
 * Strict base64 (RFC 4648 section 4): padded, without stray bits in its last character. Spaces, tabs and line ends are
 * allowed between.
 * @param at offset of the text within its file, for errors
 */
export function decodeBase64(text: string, at: number): Buffer {
  const bad = text.search(/[^A-Za-z0-9+/= \t\r\n]|=[^= \t\r\n]/)
  if (bad >= 0) throw damagedAt('a character is not base64', at + bad)
  const packed = text.replace(/[ \t\r\n]+/g, '')
  const bytes = Buffer.from(packed, 'base64')
  if (bytes.toString('base64') !== packed) throw damagedAt('the base64 does not end properly', at + endOf(text))
  return bytes
}

/** Where the first character that is not white space stands, or the end. */
function skipWhite(text: string, from: number): number {
  let at = from
  while (WHITE.has(text.charAt(at))) at++
  return at
}

/** Where the white space at the end begins. */
function endOf(text: string): number {
  let at = text.length
  while (WHITE.has(text.charAt(at - 1))) at--
  return at
}
