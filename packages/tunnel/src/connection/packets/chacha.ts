import { timingSafeEqual } from 'node:crypto'
import { CipherContext, Poly1305, TAG } from './contexts.js'
import type { Openssl } from './openssl.js'
import { HEAD, type PacketCipher } from './packet-cipher.js'

/** Bytes that ChaCha20 turns at once. The first block gives the MAC's key, the next ones turn the packet. */
const CHACHA_BLOCK = 64
const MAC_KEY = 32

/** Where the packet's number ends in OpenSSL's nonce: a block counter of 8 bytes, then a number of 8, its low half last. */
const NUMBER = 12

/** chacha20-poly1305@openssh.com (PROTOCOL.chacha20poly1305): one key for the lengths, another for the rest. */
export class ChaCha implements PacketCipher {
  readonly block = 8
  readonly #lengths: CipherContext
  readonly #bodies: CipherContext
  readonly #mac: Poly1305
  readonly #nonce: Buffer = Buffer.alloc(16)
  readonly #first: Buffer = Buffer.alloc(CHACHA_BLOCK)
  readonly #length: Buffer = Buffer.alloc(HEAD)
  readonly #tag: Buffer = Buffer.alloc(TAG)

  /** Both keys have 32 bytes. It is the same in both directions. */
  constructor(openssl: Openssl, bodies: Buffer, lengths: Buffer) {
    this.#bodies = new CipherContext(openssl, 'chacha20', bodies, true)
    this.#lengths = new CipherContext(openssl, 'chacha20', lengths, true)
    this.#mac = new Poly1305(openssl)
  }

  seal(packet: Buffer, sequence: number): void {
    const end = packet.length - TAG
    const key = this.#begin(sequence)
    this.#lengths.begin(this.#nonce)
    this.#lengths.turn(packet.subarray(0, HEAD))
    this.#bodies.turn(packet.subarray(HEAD, end))
    this.#mac.compute(key, packet.subarray(0, end), packet.subarray(end))
  }

  readLength(head: Buffer, sequence: number): number {
    this.#nonce.writeUInt32BE(sequence, NUMBER)
    head.copy(this.#length)
    this.#lengths.begin(this.#nonce)
    this.#lengths.turn(this.#length)
    return this.#length.readUInt32BE()
  }

  open(packet: Buffer, sequence: number): boolean {
    const end = packet.length - TAG
    this.#mac.compute(this.#begin(sequence), packet.subarray(0, end), this.#tag)
    if (!timingSafeEqual(this.#tag, packet.subarray(end))) return false
    this.#bodies.turn(packet.subarray(HEAD, end))
    return true
  }

  free(): void {
    this.#first.fill(0)
    this.#lengths.free()
    this.#bodies.free()
    this.#mac.free()
  }

  /** @returns the key of this packet's MAC; what is turned next stands in the block behind it */
  #begin(sequence: number): Buffer {
    this.#nonce.writeUInt32BE(sequence, NUMBER)
    this.#bodies.begin(this.#nonce)
    this.#bodies.turn(this.#first.fill(0))
    return this.#first.subarray(0, MAC_KEY)
  }
}
