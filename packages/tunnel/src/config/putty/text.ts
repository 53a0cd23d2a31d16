import { KeytoolError } from '@keytool/keygen'

/**
 * The text of a settings file of Windows: UTF-16 or UTF-8 by its mark, else UTF-8 where it is that, else the code page of
 * western Windows, which older `REGEDIT4` exports are written in. Line ends become `\n`.
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
  const marked = marks.find(([mark]) => mark.every((byte, i) => bytes[i] === byte))?.[1]
  return marked === undefined ? decodeUnmarked(bytes) : new TextDecoder(marked).decode(bytes)
}

/** UTF-8 where the bytes are that, else windows-1252. */
export function decodeUnmarked(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return new TextDecoder('windows-1252').decode(bytes)
  }
}
