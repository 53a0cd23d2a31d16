/** Bytes of a packet's length field (RFC 4253 section 6), which both ciphers keep apart from the rest. */
export const HEAD = 4

/**
 * A cipher that authenticates, in one direction. A packet is one buffer: its length, what is encrypted (the padding's length,
 * the payload, the padding), its tag.
 */
export interface PacketCipher {
  /** What the encrypted part's length is a multiple of. */
  readonly block: number
  /**
   * Encrypts in place, and writes the tag.
   * @param sequence the packet's number, 0 to 2^32 - 1
   */
  seal(packet: Buffer, sequence: number): void
  /** @param head the first {@link HEAD} bytes as they came. What is returned is proved only with the rest */
  readLength(head: Buffer, sequence: number): number
  /**
   * Decrypts in place.
   * @returns false if the packet is not what was sent
   */
  open(packet: Buffer, sequence: number): boolean
  /** Wipes the keys. May be called again; nothing else may. */
  free(): void
}
