import type { Decoder } from './decoder.js'
import type { Encoder } from './encoder.js'

// ISO-2022-JP (RFC 1468) is EUC-JP in seven bits: escape sequences say which set the bytes that follow are of. So it is
// turned into EUC-JP before it is read, and from EUC-JP once it is written.

const ESC = 0x1b
const [NEWLINE, DELETE] = [0x0a, 0x7f]
/** Starts JIS X 0212 and JIS X 0201's katakana in EUC-JP. */
const [SS2, SS3] = [0x8e, 0x8f]
/** No character of EUC-JP begins so: shows as U+FFFD. */
const NOTHING = 0xff

/** A set of characters: how many bytes each has here, and what stands before them in EUC-JP. */
interface CharacterSet {
  readonly width: 1 | 2
  readonly prefix?: number
}

const ascii: CharacterSet = { width: 1 }
const katakana: CharacterSet = { width: 1, prefix: SS2 }
const kanji: CharacterSet = { width: 2 }
const moreKanji: CharacterSet = { width: 2, prefix: SS3 }

/** What follows ESC. JIS X 0201's Roman set is ASCII but for two signs, which terminals show as ASCII's. */
const designations: ReadonlyMap<string, CharacterSet> = new Map([
  ['(B', ascii],
  ['(J', ascii],
  ['(I', katakana],
  ['$@', kanji],
  ['$B', kanji],
  ['$(B', kanji],
  ['$(D', moreKanji],
])
const beginnings = new Set(['', '(', '$', '$('])

/** ISO-2022-JP's bytes as EUC-JP's, however they are cut. */
export class Iso2022JpDecoder implements Decoder {
  readonly #inner: Decoder
  #set: CharacterSet = ascii
  /** What came after an ESC that may still become a designation. */
  #escape: string | undefined
  /** The first of two bytes. */
  #first: number | undefined

  /** @param inner reads EUC-JP */
  constructor(inner: Decoder) {
    this.#inner = inner
  }

  decode(bytes: Uint8Array): string {
    const euc: number[] = []
    for (const byte of bytes) this.#read(byte, euc)
    return this.#inner.decode(Buffer.from(euc))
  }

  end(): string {
    const euc: number[] = []
    this.#dropFirst(euc)
    this.#giveUpEscape(euc)
    return this.#inner.decode(Buffer.from(euc)) + this.#inner.end()
  }

  #read(byte: number, euc: number[]): void {
    if (this.#escape !== undefined) {
      const sequence = this.#escape + String.fromCharCode(byte)
      const set = designations.get(sequence)
      if (set) {
        this.#designate(set, sequence, euc)
        return
      }
      if (beginnings.has(sequence)) {
        this.#escape = sequence
        return
      }
      this.#giveUpEscape(euc)
    }
    if (byte === ESC) {
      this.#dropFirst(euc)
      this.#escape = ''
    } else if (byte <= 0x20 || byte >= DELETE) {
      this.#dropFirst(euc)
      // Every line begins in ASCII: what is damaged ends with its line.
      if (byte === NEWLINE) this.#set = ascii
      euc.push(byte > DELETE ? NOTHING : byte)
    } else this.#readGraphic(byte, euc)
  }

  #readGraphic(byte: number, euc: number[]): void {
    const { width, prefix } = this.#set
    if (this.#set === ascii) euc.push(byte)
    else if (width === 2 && this.#first === undefined) this.#first = byte
    else {
      if (prefix !== undefined) euc.push(prefix)
      if (this.#first !== undefined) euc.push(this.#first | 0x80)
      euc.push(byte | 0x80)
      this.#first = undefined
    }
  }

  #designate(set: CharacterSet, sequence: string, euc: number[]): void {
    // Back to ASCII in ASCII is meant for the terminal, whose line-drawing set it ends.
    if (set === ascii && this.#set === ascii) this.#giveUpEscape(euc, sequence)
    this.#escape = undefined
    this.#set = set
  }

  /** An escape sequence of the terminal's own. */
  #giveUpEscape(euc: number[], sequence = this.#escape): void {
    this.#escape = undefined
    if (sequence !== undefined) euc.push(ESC, ...Buffer.from(sequence, 'latin1'))
  }

  #dropFirst(euc: number[]): void {
    if (this.#first !== undefined) euc.push(NOTHING)
    this.#first = undefined
  }
}

const TO_KANJI = [ESC, 0x24, 0x42]
const TO_ASCII = [ESC, 0x28, 0x42]

/** Text as ISO-2022-JP. Each piece ends in ASCII, so that a key pressed later stands alone. */
export class Iso2022JpEncoder implements Encoder {
  readonly #inner: Encoder
  #lost = 0

  /** @param inner writes EUC-JP */
  constructor(inner: Encoder) {
    this.#inner = inner
  }

  get lost(): number {
    return this.#inner.lost + this.#lost
  }

  encode(text: string): Buffer {
    // There is no katakana of half width in it, so that it is written in full width (as WHATWG's encoder does).
    const euc = this.#inner.encode(text.replace(/[\uff61-\uff9f]+/g, run => run.normalize('NFKC')))
    const bytes: number[] = []
    let inKanji = false
    const turnTo = (kanji: boolean) => {
      if (inKanji !== kanji) bytes.push(...(kanji ? TO_KANJI : TO_ASCII))
      inKanji = kanji
    }
    for (let i = 0; i < euc.length; i++) {
      const byte = euc[i] ?? 0
      if (byte < 0x80) {
        turnTo(false)
        bytes.push(byte)
      } else if (byte === SS3 || byte === SS2) {
        // JIS X 0212 is another charset's: ISO-2022-JP-1.
        turnTo(false)
        bytes.push(0x3f)
        this.#lost++
        i += byte === SS3 ? 2 : 1
      } else {
        turnTo(true)
        bytes.push(byte & 0x7f, (euc[++i] ?? 0) & 0x7f)
      }
    }
    turnTo(false)
    return Buffer.from(bytes)
  }
}
