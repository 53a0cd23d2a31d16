import { KeytoolError } from '@keytool/keygen'
import { TAG } from './contexts.js'
import { HEAD, type PacketCipher } from './packet-cipher.js'
import { LEAST_PADDING } from './padding.js'

/** The largest packet that everybody takes: RFC 4253 section 6.1. */
const MAX_PACKET = 35_000

/** What the engine does with a payload; false: go on with what it has put in this one's place. */
export type OnPayload = (payload: Buffer) => number | false | undefined

/** Takes the place of ssh2's incoming cipher. */
export class Opener {
  /** The number of the next packet. The engine sets it back with strict key exchange. */
  inSeqno: number
  /** The engine puts another one in its place while keys are exchanged. */
  _onPayload: OnPayload
  readonly #cipher: PacketCipher
  /** A packet that has begun, or its length field, and how much of it is here. */
  #part: Buffer | undefined
  #have = 0
  /** Where the next packet begins in what is read. */
  #at = 0
  #freed = false

  constructor(cipher: PacketCipher, sequence: number, onPayload: OnPayload) {
    this.#cipher = cipher
    this.inSeqno = sequence
    this._onPayload = onPayload
  }

  free(): void {
    this.#freed = true
    this.#cipher.free()
  }

  /**
   * Hands on each payload, decrypted where it came in. What is left over is kept.
   * @returns where to go on, if the engine has more to do with `data`
   * @throws KeytoolError `damaged`
   */
  decrypt(data: Buffer, from: number, end: number): number | undefined {
    this.#at = from
    while (this.#at < end && !this.#freed) {
      const packet = this.#part ? this.#fill(this.#part, data, end) : this.#take(data, end)
      if (!packet) return undefined
      const answer = this._onPayload(this.#open(packet))
      if (answer !== undefined) return answer === false ? this.#at : answer
    }
    return undefined
  }

  /** A packet where it stands, if all of it is there. */
  #take(data: Buffer, end: number): Buffer | undefined {
    const start = this.#at
    const size = end - start < HEAD ? HEAD : this.#sizeOf(data.subarray(start, start + HEAD))
    if (size > HEAD && end - start >= size) {
      this.#at += size
      return data.subarray(start, start + size)
    }
    this.#have = 0
    this.#part = Buffer.allocUnsafeSlow(size)
    return this.#fill(this.#part, data, end)
  }

  #fill(part: Buffer, data: Buffer, end: number): Buffer | undefined {
    const count = Math.min(part.length - this.#have, end - this.#at)
    data.copy(part, this.#have, this.#at, this.#at + count)
    this.#have += count
    this.#at += count
    if (this.#have < part.length) return undefined
    this.#part = undefined
    if (part.length > HEAD) return part
    const whole = Buffer.allocUnsafeSlow(this.#sizeOf(part))
    part.copy(whole)
    this.#part = whole
    return this.#fill(whole, data, end)
  }

  /** Of the whole packet, by what it says first. Nothing is taken in for one that says too much. */
  #sizeOf(head: Buffer): number {
    const { block } = this.#cipher
    const length = this.#cipher.readLength(head, this.inSeqno)
    if (length > MAX_PACKET || length < Math.max(block, 1 + LEAST_PADDING) || length % block !== 0) {
      throw new KeytoolError('damaged', 'a packet has no length that it can have')
    }
    return HEAD + length + TAG
  }

  #open(packet: Buffer): Buffer {
    if (!this.#cipher.open(packet, this.inSeqno)) {
      throw new KeytoolError('damaged', 'a packet was changed on its way')
    }
    this.inSeqno = (this.inSeqno + 1) >>> 0
    const end = packet.length - TAG
    const padding = packet.readUInt8(HEAD)
    if (padding < LEAST_PADDING || HEAD + 1 + padding > end) {
      throw new KeytoolError('damaged', 'a packet is padded as none can be')
    }
    return packet.subarray(HEAD + 1, end - padding)
  }
}
