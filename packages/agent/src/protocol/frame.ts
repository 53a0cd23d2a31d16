import { KeytoolError } from '@keytool/keygen'

/** OpenSSH's cap on one message (AGENT_MAX_LEN), in bytes without the length before it. */
export const MAX_MESSAGE: number = 256 * 1024

const HEADER = 4
const SMALLEST_HOLD = 512
/** Of a message that has come so far, the rest is made room for at once: each doubling leaves what it outgrew to be collected. */
const LARGE_HOLD = 32 * 1024

const NOTHING: Buffer = Buffer.alloc(0)

/**
 * Cuts a stream into messages: a uint32 length, then that many bytes (RFC 9987 section 3).
 *
 * A message that lies within one chunk is a view of it. One that arrives in pieces is gathered in a buffer that doubles
 * as bytes arrive, so the work is linear and what a peer merely claims allocates nothing. Whatever was copied is cleared
 * where it lay, in the chunks too: it may be part of a private key, and whoever gets the message can clear only that.
 */
export class FrameSplitter {
  #chunk: Buffer = NOTHING
  #at = 0
  #held: Buffer = NOTHING
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
    if (left === 0) return this.#letGo()
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

  /** Memory that is taken up by what was not handed out, in bytes. */
  get held(): number {
    return this.#held.length + this.#chunk.length
  }

  /** Clears what was not handed out: no more will come. */
  clear(): void {
    this.#held.fill(0)
    this.#chunk.fill(0, this.#at)
    this.#held = NOTHING
    this.#filled = 0
    this.#letGo()
  }

  #gather(): Buffer | undefined {
    if (this.#filled < HEADER && !this.#take(HEADER)) return undefined
    const end = HEADER + checkLength(this.#held.readUInt32BE(0))
    if (!this.#take(end)) return undefined
    const body = this.#held.subarray(HEADER, end)
    this.#held = NOTHING
    this.#filled = 0
    return body
  }

  /** Moves bytes over until `size` are held. False when the chunk ends first. */
  #take(size: number): boolean {
    const count = Math.min(size - this.#filled, this.#chunk.length - this.#at)
    this.#makeRoom(this.#filled + count, size)
    const end = this.#at + count
    this.#chunk.copy(this.#held, this.#filled, this.#at, end)
    this.#chunk.fill(0, this.#at, end)
    this.#filled += count
    this.#at = end
    if (end === this.#chunk.length) this.#letGo()
    return this.#filled === size
  }

  /** A chunk that is used up must not stay in memory until the next one comes. */
  #letGo(): undefined {
    this.#chunk = NOTHING
    this.#at = 0
  }

  /** @param whole what the message takes with its length */
  #makeRoom(size: number, whole: number): void {
    if (size <= this.#held.length) return
    const wanted = size > LARGE_HOLD ? whole : Math.max(size, 2 * this.#held.length, SMALLEST_HOLD)
    const larger = Buffer.alloc(wanted)
    this.#held.copy(larger, 0, 0, this.#filled)
    this.#held.fill(0)
    this.#held = larger
  }
}

function checkLength(length: number): number {
  if (length > 0 && length <= MAX_MESSAGE) return length
  throw new KeytoolError('damaged', `a message claims ${length} bytes; 1 to ${MAX_MESSAGE} are allowed`)
}
