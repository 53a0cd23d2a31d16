import { KeytoolError } from '@keytool/keygen'

/** OpenSSH's cap on one message, in bytes without the length before it. */
export const MAX_MESSAGE: number = 256 * 1024

const HEADER = 4

/** Cuts a stream into messages: a uint32 length, then that many bytes (draft-ietf-secsh-filexfer-02 section 3). */
export class Frames {
  #parts: Buffer[] = []
  #held = 0

  /** Hands in what arrived. */
  push(chunk: Buffer): void {
    this.#parts.push(chunk)
    this.#held += chunk.length
  }

  /**
   * The next whole message without its length, or undefined until more arrives.
   * @throws KeytoolError `damaged` for a length that no message has; nothing can be made of the stream then
   */
  next(): Buffer | undefined {
    if (this.#held < HEADER) return undefined
    const length = this.#gather(HEADER).readUInt32BE(0)
    if (length === 0 || length > MAX_MESSAGE) {
      throw new KeytoolError('damaged', `a message claims ${length} bytes; 1 to ${MAX_MESSAGE} are allowed`)
    }
    const end = HEADER + length
    if (this.#held < end) return undefined
    const [whole, ...others] = [this.#gather(end), ...this.#parts.slice(1)]
    this.#parts = [whole.subarray(end), ...others]
    this.#held -= end
    return whole.subarray(HEADER, end)
  }

  /** The first part, made so long; that much is held. Each byte is copied twice at most, for its length and its body. */
  #gather(size: number): Buffer {
    const [first] = this.#parts
    if (first && first.length >= size) return first
    const whole = Buffer.concat(this.#parts)
    this.#parts = [whole]
    return whole
  }
}
