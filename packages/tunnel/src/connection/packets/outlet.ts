import type { Duplex } from 'node:stream'

/** Bytes of memory that packets are put together in. */
const BLOCK = 256 * 1024
/** How many such pieces are kept for later. */
const SPARE = 4
/** What is written at once, in bytes. More at a time gains nothing, and lets the far side wait for its first. */
const BATCH = 128 * 1024

/** Memory that is filled from its start and used again when all that was in it has been written. */
interface Block {
  readonly bytes: Buffer
  /** Packets in it that are not written yet. */
  waiting: number
  readonly written: () => void
}

/** The way to the socket: packets stand in memory that is used again, and what is said in one go is written in one go. */
export class Outlet {
  readonly #socket: Duplex
  readonly #spare: Block[] = []
  #block: Block | undefined
  /** Where the next packet begins in it. */
  #at = 0
  #holds = false
  /** Bytes held back by now. */
  #held = 0

  constructor(socket: Duplex) {
    this.#socket = socket
  }

  /** Room for one packet; whoever asks again before it was sent gets the same room. */
  reserve(length: number): Buffer {
    if (length > BLOCK) return Buffer.allocUnsafe(length)
    if (this.#block?.waiting === 0) this.#at = 0
    if (!this.#block || this.#at + length > BLOCK) {
      this.#block = this.#spare.pop() ?? this.#makeBlock()
      this.#at = 0
    }
    return this.#block.bytes.subarray(this.#at, this.#at + length)
  }

  /** @param packet what was reserved last */
  send(packet: Buffer): void {
    if (!this.#socket.writable) return
    this.hold()
    const block = this.#block
    if (block && packet.buffer === block.bytes.buffer) {
      this.#at += packet.length
      block.waiting++
      this.#socket.write(packet, block.written)
    } else {
      this.#socket.write(packet)
    }
    this.#held += packet.length
    if (this.#held < BATCH) return
    this.#held = 0
    this.#socket.uncork()
    this.#socket.cork()
  }

  /** Has what is written from now on wait until whoever writes is done: until the next tick. */
  hold(): void {
    if (this.#holds) return
    this.#holds = true
    this.#held = 0
    this.#socket.cork()
    process.nextTick(this.#release)
  }

  readonly #release = (): void => {
    this.#holds = false
    this.#socket.uncork()
  }

  #makeBlock(): Block {
    const block: Block = {
      // None of node's own pool: its memory is compared above.
      bytes: Buffer.allocUnsafeSlow(BLOCK),
      waiting: 0,
      written: () => {
        block.waiting--
        if (block.waiting === 0 && block !== this.#block && this.#spare.length < SPARE) this.#spare.push(block)
      },
    }
    return block
  }
}
