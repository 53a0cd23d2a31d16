import { KeytoolError } from '@keytool/keygen'
import { TAG } from './contexts.js'
import type { Outlet } from './outlet.js'
import { HEAD, type PacketCipher } from './packet-cipher.js'
import { lengthOfPadding, writePadding } from './padding.js'

/** What stands before the payload: the packet's length, and the padding's. */
const BEFORE = HEAD + 1

/** Takes the place of ssh2's outgoing cipher. */
export class Sealer {
  /** The number of the next packet. The engine sets it back with strict key exchange. */
  outSeqno: number
  readonly #cipher: PacketCipher
  readonly #outlet: Outlet
  #reserved: Buffer | undefined
  #freed = false

  constructor(cipher: PacketCipher, outlet: Outlet, sequence: number) {
    this.#cipher = cipher
    this.#outlet = outlet
    this.outSeqno = sequence
  }

  free(): void {
    this.#freed = true
    this.#cipher.free()
  }

  /**
   * A packet whose payload, from its sixth byte on, is to be written before anything else is done.
   * @param payload its length, in bytes
   */
  allocPacket(payload: number): Buffer {
    const padding = lengthOfPadding(payload, this.#cipher.block)
    const end = BEFORE + payload + padding
    const packet = this.#outlet.reserve(end + TAG)
    packet.writeUInt32BE(end - HEAD)
    packet.writeUInt8(padding, HEAD)
    writePadding(packet.subarray(BEFORE + payload, end))
    this.#reserved = packet
    return packet
  }

  /** Sends the packet that was allocated last. */
  encrypt(packet: Buffer): void {
    if (this.#freed) return
    // Another one may stand in its place by now.
    if (packet !== this.#reserved) throw new KeytoolError('failed', 'a packet was kept back')
    this.#reserved = undefined
    this.#cipher.seal(packet, this.outSeqno)
    this.#outlet.send(packet)
    this.outSeqno = (this.outSeqno + 1) >>> 0
  }
}
