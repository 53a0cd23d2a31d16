import { joinUnits, QUESTION_MARK, type Tables } from './tables.js'

/** Turns text into bytes. Each text is whole: no character is spread over two. */
export interface Encoder {
  encode(text: string): Buffer
  /** How many characters the charset lacked: a question mark stands for each. */
  readonly lost: number
}

export function utf8Encoder(): Encoder {
  return { encode: text => Buffer.from(text, 'utf8'), lost: 0 }
}

/** For a charset with tables. ASCII is itself everywhere. */
export class TableEncoder implements Encoder {
  readonly #tables: Tables
  #lost = 0

  constructor(tables: Tables) {
    this.#tables = tables
  }

  get lost(): number {
    return this.#lost
  }

  encode(text: string): Buffer {
    const { toBytes, four } = this.#tables
    // The most that one unit becomes.
    const bytes = Buffer.allocUnsafe(text.length * (four ? 4 : 3))
    let used = 0
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (unit < 0x80) {
        bytes[used++] = unit
        continue
      }
      const pair = this.#findPair(text, i)
      const key = pair ?? toBytes[unit]
      if (key) used = write(bytes, used, key)
      else used = this.#writeRest(bytes, used, text, i)
      if (pair !== undefined || isHigh(unit)) i++
    }
    return bytes.subarray(0, used)
  }

  /** Two units that are one character there. */
  #findPair(text: string, i: number): number | undefined {
    const { pairsToBytes } = this.#tables
    if (pairsToBytes.size === 0 || i + 1 === text.length) return undefined
    return pairsToBytes.get(joinUnits(text.charCodeAt(i), text.charCodeAt(i + 1)))
  }

  #writeRest(bytes: Buffer, used: number, text: string, i: number): number {
    const character = String.fromCodePoint(text.codePointAt(i) ?? 0)
    const written = this.#tables.four?.toBytes(character) ?? this.#decompose(character)
    if (written && written.length > 1) {
      bytes.set(written, used)
      return used + written.length
    }
    this.#lost++
    bytes[used] = QUESTION_MARK
    return used + 1
  }

  /** A letter and its accent apart: so Vietnamese is written in windows-1258, and Hebrew's points in windows-1255. */
  #decompose(character: string): number[] | undefined {
    const parts = [...character.normalize('NFD')]
    for (let i = parts.length - 1; i > 0; i--) {
      const accent = this.#singleByte(parts[i] ?? '')
      const letter = this.#singleByte(parts.toSpliced(i, 1).join('').normalize('NFC'))
      if (accent !== undefined && letter !== undefined) return [letter, accent]
    }
    return undefined
  }

  #singleByte(character: string): number | undefined {
    const unit = character.charCodeAt(0)
    const key = unit < 0x80 ? unit : this.#tables.toBytes[unit]
    return character.length === 1 && key && key < 0x100 ? key : undefined
  }
}

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff

function write(bytes: Buffer, used: number, key: number): number {
  let end = used
  if (key > 0xffff) bytes[end++] = key >>> 16
  if (key > 0xff) bytes[end++] = (key >>> 8) & 0xff
  bytes[end++] = key & 0xff
  return end
}
