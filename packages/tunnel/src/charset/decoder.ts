import { joinUnits, REPLACEMENT, type Tables } from './tables.js'

/** Turns bytes into text, however they are cut. What means nothing becomes U+FFFD; nothing throws. */
export interface Decoder {
  decode(bytes: Uint8Array): string
  /** What was held back, at the end of everything: half a character is U+FFFD. */
  end(): string
}

/** For UTF-8. A byte order mark stays where it is. */
export function utf8Decoder(): Decoder {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return { decode: bytes => decoder.decode(bytes, { stream: true }), end: () => decoder.decode() }
}

/** For a charset with tables. ASCII is itself everywhere, so that no control and no escape sequence is ever lost. */
export class TableDecoder implements Decoder {
  readonly #tables: Tables
  #held: Uint8Array = new Uint8Array(0)

  constructor(tables: Tables) {
    this.#tables = tables
  }

  decode(bytes: Uint8Array): string {
    return this.#decode(this.#held.length > 0 ? Buffer.concat([this.#held, bytes]) : bytes, false)
  }

  end(): string {
    return this.#decode(this.#held, true)
  }

  #decode(bytes: Uint8Array, atEnd: boolean): string {
    const { toText, leads } = this.#tables
    // Never more units than bytes.
    const units = new Uint16Array(bytes.length)
    let used = 0
    let i = 0
    while (i < bytes.length) {
      const first = bytes[i] ?? 0
      const known = first < 0x80 ? first : toText[first]
      if (first < 0x80 || known) {
        units[used++] = known ?? 0
        i++
        continue
      }
      const found = leads[first] ? this.#readLong(bytes, i) : damaged(1)
      if (found === 'cut' && !atEnd) break
      const { characters, length } = found === 'cut' ? damaged(1) : found
      if (characters > 0xffff) units[used++] = characters >>> 16
      units[used++] = characters & 0xffff
      i += length
    }
    this.#held = bytes.slice(i)
    return Buffer.from(units.buffer, 0, used * 2).toString('utf16le')
  }

  /** A character of several bytes. A damaged one takes as few bytes with it as can be, ASCII never. */
  #readLong(bytes: Uint8Array, i: number): Found | 'cut' {
    const { toText, three, four } = this.#tables
    const [first, second] = [bytes[i] ?? 0, bytes[i + 1]]
    if (second === undefined) return 'cut'
    const characters = toText[first * 256 + second]
    if (characters) return { characters, length: 2 }
    if (four && isDigit(second)) return readFour(bytes, i, four)
    if (three && first === 0x8f && second >= 0x80) {
      const third = bytes[i + 2]
      if (third === undefined) return 'cut'
      const found = three[second * 256 + third]
      return found ? { characters: found, length: 3 } : damaged(third < 0x80 ? 2 : 3)
    }
    return damaged(second < 0x80 ? 1 : 2)
  }
}

interface Found {
  /** As the tables have it. */
  readonly characters: number
  /** In bytes. */
  readonly length: number
}

const damaged = (length: number): Found => ({ characters: REPLACEMENT, length })

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39

function readFour(bytes: Uint8Array, i: number, four: NonNullable<Tables['four']>): Found | 'cut' {
  const [third, fourth] = [bytes[i + 2], bytes[i + 3]]
  if (third === undefined) return 'cut'
  if (third < 0x81 || third === 0xff) return damaged(1)
  if (fourth === undefined) return 'cut'
  if (!isDigit(fourth)) return damaged(1)
  const text = four.toText(bytes.subarray(i, i + 4))
  const character = text.codePointAt(0) ?? REPLACEMENT
  // What no character was given to comes back as something that is not one.
  if (text.length !== (character > 0xffff ? 2 : 1) || (character >= 0xd800 && character <= 0xdfff)) return damaged(1)
  return { characters: text.length === 1 ? character : joinUnits(text.charCodeAt(0), text.charCodeAt(1)), length: 4 }
}
