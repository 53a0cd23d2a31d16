import { Cursor } from './cursor.js'
import { damagedAt } from './error.js'

/** The longest string any format here may hold, in bytes. Far above every real key, far below trouble. */
export const MAX_STRING: number = 1 << 20

/**
 * Reads RFC 4251 section 5 types from bytes. Every length is checked against what is left and against a cap before it
 * is used, so that a lying length can neither read past the end nor allocate.
 *
 * All methods throw `KeytoolError('damaged')` with the offset when the bytes do not hold what is asked for. Buffers it
 * returns are views of the input, not copies.
 */
export class Reader extends Cursor {
  byte(): number {
    return this.source.readUInt8(this.take(1, 'a byte'))
  }

  /** RFC 4251: zero is false, every other value true. */
  boolean(): boolean {
    return this.byte() !== 0
  }

  uint32(): number {
    return this.source.readUInt32BE(this.take(4, 'a uint32'))
  }

  uint64(): bigint {
    return this.source.readBigUInt64BE(this.take(8, 'a uint64'))
  }

  /** A uint32 that counts elements of at least one byte each; more than `cap` or than what is left is a lie. */
  count(cap: number): number {
    const start = this.offset
    const count = this.uint32()
    if (count > cap || count > this.left) throw damagedAt(`it claims ${count} elements`, start)
    return count
  }

  /** A `string`: a length, then that many bytes. */
  string(cap: number = MAX_STRING): Buffer {
    const start = this.offset
    const length = this.uint32()
    if (length > cap) throw damagedAt(`a string claims ${length} bytes, more than the ${cap} allowed`, start)
    if (length > this.left) throw damagedAt(`a string claims ${length} bytes, but only ${this.left} follow`, start)
    return this.bytes(length)
  }

  /** A `string` that is text. UTF-8 that is not well formed is damage: names are compared, never guessed. */
  text(cap?: number): string {
    const start = this.offset
    const bytes = this.string(cap)
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    } catch (cause) {
      throw damagedAt('a text is not UTF-8', start, cause)
    }
  }

  /** An `mpint` that is not negative, as unsigned big-endian bytes without leading zeros (zero is empty). */
  mpint(): Buffer {
    const start = this.offset
    const bytes = this.string()
    const first = bytes[0]
    if (first === undefined) return bytes
    if (first >= 0x80) throw damagedAt('an mpint is negative', start)
    if (first !== 0) return bytes
    if ((bytes[1] ?? 0) < 0x80) throw damagedAt('an mpint has needless leading zeros', start)
    return bytes.subarray(1)
  }

  /** A `string` whose content is read by a reader of its own. */
  nested(cap?: number): Reader {
    const inner = this.string(cap)
    return new Reader(inner, this.offset - inner.length)
  }

  /** The next `length` bytes as they stand. */
  bytes(length: number): Buffer {
    const at = this.take(length, `${length} bytes`)
    return this.source.subarray(at, at + length)
  }
}

/** Writes RFC 4251 section 5 types. The result of {@link Writer.done} is a fresh buffer the caller owns. */
export class Writer {
  readonly #parts: Uint8Array[] = []

  byte(value: number): this {
    return this.bytes(Buffer.of(value))
  }

  boolean(value: boolean): this {
    return this.byte(value ? 1 : 0)
  }

  uint32(value: number): this {
    const part = Buffer.allocUnsafe(4)
    part.writeUInt32BE(value)
    return this.bytes(part)
  }

  uint64(value: bigint): this {
    const part = Buffer.allocUnsafe(8)
    part.writeBigUInt64BE(value)
    return this.bytes(part)
  }

  string(value: Uint8Array): this {
    return this.uint32(value.length).bytes(value)
  }

  text(value: string): this {
    return this.string(Buffer.from(value, 'utf8'))
  }

  /** @param value unsigned big-endian bytes; leading zeros are dropped, a zero is put before a set top bit. */
  mpint(value: Uint8Array): this {
    const bytes = stripZeros(value)
    if ((bytes[0] ?? 0) < 0x80) return this.string(bytes)
    return this.uint32(bytes.length + 1)
      .byte(0)
      .bytes(bytes)
  }

  bytes(value: Uint8Array): this {
    this.#parts.push(value)
    return this
  }

  done(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

/** The same unsigned number without leading zero bytes. */
export function stripZeros(value: Uint8Array): Buffer {
  let start = 0
  while (value[start] === 0) start++
  return Buffer.from(value.buffer, value.byteOffset + start, value.length - start)
}

/** The number of bits of an unsigned big-endian number. */
export function bitLength(value: Uint8Array): number {
  const bytes = stripZeros(value)
  const first = bytes[0]
  return first === undefined ? 0 : (bytes.length - 1) * 8 + (32 - Math.clz32(first))
}
