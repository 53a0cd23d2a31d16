import { damagedAt } from './error.js'

/** A place in bytes that are being read: what every reader of a binary layout needs, and the only arithmetic with offsets. */
export abstract class Cursor {
  /** A view of the input, not a copy. */
  protected readonly source: Buffer
  /** Index of the next byte in {@link Cursor.source}. */
  protected at = 0
  readonly #base: number

  /** @param base offset of `bytes` within the outermost input, so that nested readers report true places. */
  constructor(bytes: Uint8Array, base = 0) {
    this.source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#base = base
  }

  /** Offset of the next byte within the outermost input. */
  get offset(): number {
    return this.#base + this.at
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.source.length - this.at
  }

  /** All that is left. */
  rest(): Buffer {
    const from = this.at
    this.at = this.source.length
    return this.source.subarray(from)
  }

  /** Throws `damaged` unless everything was read: trailing data is damage. */
  end(): void {
    if (this.left > 0) throw damagedAt(`${this.left} bytes too many`, this.offset)
  }

  /** Index of the next `length` bytes, which are read with that. Throws `damaged` when there are fewer. */
  protected take(length: number, what: string): number {
    if (length > this.left) throw damagedAt(`it ends where ${what} should be`, this.offset)
    const at = this.at
    this.at += length
    return at
  }
}
