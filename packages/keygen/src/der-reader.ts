import { Cursor } from './cursor.js'
import { damagedAt } from './error.js'

/** Tags of X.690 that key files use. Constructed and context-specific bits included. */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  bmpString: 0x1e,
  /** `[0]`, constructed. */
  context0: 0xa0,
  /** `[1]`, constructed: EXPLICIT, or IMPLICIT of what is constructed itself. */
  context1: 0xa1,
  /** `[1] IMPLICIT` of what is primitive, such as a BIT STRING. */
  context1Primitive: 0x81,
} as const

/** No key's element is longer than this, in bytes: what `MAX_STRING` is to SSH's own types. */
const MAX_ELEMENT = 1 << 20

/**
 * Reads DER (X.690 section 10): definite lengths in their shortest form, each checked against what is left before it is
 * used. BER's other spellings of the same value are refused, so that a file has one reading only.
 *
 * All methods throw `KeytoolError('damaged')` with the offset. Buffers it returns are views of the input.
 */
export class DerReader extends Cursor {
  /** The next element's tag, without reading it; `undefined` at the end. */
  peek(): number | undefined {
    return this.source[this.at]
  }

  /** Content of the next element, which must have this tag. */
  element(tag: number): Buffer {
    const start = this.offset
    const found = this.#byte()
    if (found !== tag) throw damagedAt(`an element of type ${hex(found)} stands where ${hex(tag)} should be`, start)
    const length = this.#length(start)
    const content = this.source.subarray(this.at, this.at + length)
    this.at += length
    return content
  }

  /** A reader of the next element's content. */
  nested(tag: number): DerReader {
    const content = this.element(tag)
    return new DerReader(content, this.offset - content.length)
  }

  sequence(): DerReader {
    return this.nested(tags.sequence)
  }

  /** A reader of the next element's content, if that has this tag: an OPTIONAL field. */
  optional(tag: number): DerReader | undefined {
    return this.peek() === tag ? this.nested(tag) : undefined
  }

  /** A whole element as it stands, header and all. */
  raw(): Buffer {
    const from = this.at
    this.element(this.peek() ?? 0)
    return this.source.subarray(from, this.at)
  }

  /** An INTEGER that is not negative, as unsigned big-endian bytes without leading zeros (zero is empty). */
  integer(): Buffer {
    const start = this.offset
    const bytes = this.element(tags.integer)
    const [first = 0, second = 0x80] = bytes
    if (bytes.length === 0 || first >= 0x80) throw damagedAt('an INTEGER is empty or negative', start)
    if (first === 0 && bytes.length > 1 && second < 0x80) throw damagedAt('an INTEGER has needless zeros', start)
    return first === 0 ? bytes.subarray(1) : bytes
  }

  /** An INTEGER of at most 31 bits. */
  number(): number {
    const start = this.offset
    const bytes = this.integer()
    const value = bytes.length > 4 ? Number.POSITIVE_INFINITY : bytes.reduce((sum, byte) => sum * 256 + byte, 0)
    if (value > 0x7fffffff) throw damagedAt('a number is too large', start)
    return value
  }

  octetString(): Buffer {
    return this.element(tags.octetString)
  }

  /** A BIT STRING of whole bytes, under its own tag or an IMPLICIT one. */
  bitString(tag: number = tags.bitString): Buffer {
    const start = this.offset
    const content = this.element(tag)
    if (content[0] !== 0) throw damagedAt('a BIT STRING is not whole bytes', start)
    return content.subarray(1)
  }

  /** An OBJECT IDENTIFIER: its encoded content in hex, as the tables have it. */
  oid(): string {
    return this.element(tags.oid).toString('hex')
  }

  null(): void {
    const start = this.offset
    if (this.element(tags.null).length > 0) throw damagedAt('a NULL has content', start)
  }

  #byte(): number {
    const value = this.source[this.at]
    if (value === undefined) throw damagedAt('it ends where an element should be', this.offset)
    this.at++
    return value
  }

  #length(start: number): number {
    const first = this.#byte()
    let length = first
    if (first >= 0x80) {
      const count = first - 0x80
      if (count < 1 || count > 4) throw damagedAt('a length is not in DER', start)
      length = 0
      for (let i = 0; i < count; i++) length = length * 256 + this.#byte()
      if (length < 0x80 || length < 256 ** (count - 1)) throw damagedAt('a length is not in its shortest form', start)
    }
    if (length > MAX_ELEMENT) throw damagedAt(`an element claims ${length} bytes`, start)
    if (length > this.left) throw damagedAt(`an element claims ${length} bytes, but only ${this.left} follow`, start)
    return length
  }
}

/** An identifier's encoded content as people write it (X.690 section 8.19), cut: it is foreign. */
export function dotted(hex: string): string {
  const arcs: number[] = []
  let arc = 0
  for (const byte of Buffer.from(hex.slice(0, 64), 'hex')) {
    arc = arc * 128 + (byte & 0x7f)
    if (byte < 0x80) {
      arcs.push(arc)
      arc = 0
    }
  }
  const [first = 0, ...rest] = arcs
  const root = Math.min(2, Math.floor(first / 40))
  return [root, first - 40 * root, ...rest].join('.')
}

function hex(tag: number): string {
  return `0x${tag.toString(16).padStart(2, '0')}`
}
