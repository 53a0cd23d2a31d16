import { KeytoolError } from '@keytool/keygen'

/** OpenSSH's cap on one message (AGENT_MAX_LEN), in bytes without the length before it. */
export const MAX_MESSAGE: number = 256 * 1024

const HEADER = 4
const SMALLEST_HOLD = 512

/**
 * Cuts a stream into messages: a uint32 length, then that many bytes (RFC 9987 section 3).
 *
 * A message that lies within one chunk is a view of it. One that arrives in pieces is gathered in a buffer that doubles
 * as bytes arrive, so the work is linear and what a peer merely claims allocates nothing. Whatever was copied is cleared
 * where it lay, in the chunks too: it may be part of a private key, and whoever gets the message can clear only that.
 */
export class FrameSplitter {
  #chunk: Buffer = Buffer.alloc(0)
  #at = 0
  #held: Buffer = Buffer.alloc(0)
  #filled = 0

  /** Hands in what arrived. Only once {@link next} has returned undefined, or what was left would be lost. */
  push(chunk: Buffer): void {
    if (this.#at < this.#chunk.length)
      throw new KeytoolError('failed', 'a chunk was pushed before the last was used up')
    this.#chunk = chunk
    this.#at = 0
  }

  /**
   * The next whole message without its length, or undefined until more arrives.
   * @throws KeytoolError `damaged` for a length of zero or over the cap; the stream can't be followed any more then
   */
  next(): Buffer | undefined {
    if (this.#filled > 0) return this.#gather()
    const left = this.#chunk.length - this.#at
    if (left === 0) return undefined
    if (left < HEADER) return this.#gather()
    const length = checkLength(this.#chunk.readUInt32BE(this.#at))
    if (left - HEADER < length) return this.#gather()
    const start = this.#at + HEADER
    this.#at = start + length
    return this.#chunk.subarray(start, this.#at)
  }

  /** True while a message has begun and not ended. */
  get midway(): boolean {
    return this.#filled > 0
  }

  /** Clears what was not handed out: no more will come. */
  clear(): void {
    this.#held.fill(0)
    this.#chunk.fill(0, this.#at)
    this.#filled = 0
    this.#at = this.#chunk.length
  }

  #gather(): Buffer | undefined {
    if (this.#filled < HEADER && !this.#take(HEADER)) return undefined
    const end = HEADER + checkLength(this.#held.readUInt32BE(0))
    if (!this.#take(end)) return undefined
    const body = this.#held.subarray(HEADER, end)
    this.#held = Buffer.alloc(0)
    this.#filled = 0
    return body
  }

  /** Moves bytes over until `size` are held. False when the chunk ends first. */
  #take(size: number): boolean {
    const count = Math.min(size - this.#filled, this.#chunk.length - this.#at)
    this.#makeRoom(this.#filled + count)
    const end = this.#at + count
    this.#chunk.copy(this.#held, this.#filled, this.#at, end)
    this.#chunk.fill(0, this.#at, end)
    this.#filled += count
    this.#at = end
    return this.#filled === size
  }

  #makeRoom(size: number): void {
    if (size <= this.#held.length) return
    const wanted = Math.max(size, 2 * this.#held.length, SMALLEST_HOLD)
    const larger = Buffer.alloc(Math.min(wanted, HEADER + MAX_MESSAGE))
    this.#held.copy(larger, 0, 0, this.#filled)
    this.#held.fill(0)
    this.#held = larger
  }
}

function checkLength(length: number): number {
  if (length > 0 && length <= MAX_MESSAGE) return length
  throw new KeytoolError('damaged', `a message claims ${length} bytes; 1 to ${MAX_MESSAGE} are allowed`)
}
