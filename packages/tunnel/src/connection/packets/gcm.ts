import { CipherContext, TAG } from './contexts.js'
import type { Openssl } from './openssl.js'
import { HEAD, type PacketCipher } from './packet-cipher.js'

/** Where the invocation counter stands in the nonce: RFC 5647 section 7.1. */
const COUNTER = { from: 4, to: 12 }

/** AES-GCM as OpenSSH has it (PROTOCOL section 1.6): RFC 5647, with the length in the clear, and in the tag. */
export class Gcm implements PacketCipher {
  readonly block = 16
  readonly #context: CipherContext
  readonly #nonce: Buffer

  /** @param nonce the first packet's, 12 bytes */
  constructor(openssl: Openssl, name: 'aes-128-gcm' | 'aes-256-gcm', key: Buffer, nonce: Buffer, encrypts: boolean) {
    this.#nonce = Buffer.from(nonce)
    this.#context = new CipherContext(openssl, name, key, encrypts)
  }

  seal(packet: Buffer): void {
    const end = packet.length - TAG
    this.#context.begin(this.#nonce)
    this.#context.authenticate(packet.subarray(0, HEAD))
    this.#context.turn(packet.subarray(HEAD, end))
    this.#context.writeTag(packet.subarray(end))
    this.#countUp()
  }

  readLength(head: Buffer): number {
    return head.readUInt32BE()
  }

  open(packet: Buffer): boolean {
    const end = packet.length - TAG
    this.#context.begin(this.#nonce)
    this.#context.authenticate(packet.subarray(0, HEAD))
    this.#context.turn(packet.subarray(HEAD, end))
    this.#countUp()
    return this.#context.checkTag(packet.subarray(end))
  }

  free(): void {
    this.#context.free()
  }

  #countUp(): void {
    const nonce = this.#nonce
    for (let at = COUNTER.to - 1; at >= COUNTER.from; at--) {
      const next = (nonce.readUInt8(at) + 1) & 0xff
      nonce.writeUInt8(next, at)
      if (next !== 0) return
    }
  }
}
