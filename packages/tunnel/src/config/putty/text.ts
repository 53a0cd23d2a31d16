import { KeytoolError } from '@keytool/keygen'
import { decodeLegacy } from './legacy.js'

/**
 * The text of a settings file of Windows: UTF-16 or UTF-8 by its mark, UTF-16 by its NUL bytes, else UTF-8 where it is that,
 * else the code page of a Windows, which older `REGEDIT4` exports are written in. Line ends become `\n`.
 * @throws KeytoolError `damaged` for NUL characters: then it is something else
 */
export function decodeText(bytes: Uint8Array): string {
  const text = decode(bytes).replace(/\r\n?/g, '\n')
  if (text.includes('\0')) throw new KeytoolError('damaged', 'it is no text: there are NUL characters in it')
  return text
}

/** Each fits its mark, which TextDecoder takes away. */
const marks: readonly (readonly [mark: readonly number[], charset: string])[] = [
  [[0xff, 0xfe], 'utf-16le'],
  [[0xfe, 0xff], 'utf-16be'],
  [[0xef, 0xbb, 0xbf], 'utf-8'],
]

function decode(bytes: Uint8Array): string {
  const charset = marks.find(([mark]) => mark.every((byte, i) => bytes[i] === byte))?.[1] ?? findUtf16(bytes)
  return charset === undefined ? decodeUnmarked(bytes) : new TextDecoder(charset).decode(bytes)
}

/** How all of these files begin, in bytes: ASCII, even in UTF-16. */
const HEAD = 16

/** UTF-16 without a mark, where every other byte at the beginning is NUL, and none beside. */
function findUtf16(bytes: Uint8Array): string | undefined {
  const nuls = [...bytes.subarray(0, HEAD)].map(byte => (byte === 0 ? '0' : 'x')).join('')
  if (/^(?:x0){4,}$/.test(nuls)) return 'utf-16le'
  return /^(?:0x){4,}$/.test(nuls) ? 'utf-16be' : undefined
}

/** UTF-8 where the bytes are that, else the code page that they look like most. */
export function decodeUnmarked(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return decodeLegacy(bytes)
  }
}
