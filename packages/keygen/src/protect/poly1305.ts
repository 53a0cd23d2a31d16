/** 2^130 - 5. */
const PRIME = (1n << 130n) - 5n
/** The bits that RFC 8439 section 2.5 clears in `r`. */
const CLAMP = 0x0ffffffc0ffffffc0ffffffc0fffffffn
const WORD = 0xffffffffffffffffn
const BLOCK = 16

/**
 * Poly1305, RFC 8439 section 2.5: the tag of one message under a key that is used once. Not in constant time: the one-time
 * key of a file that nobody else can have authenticated here again and again is no secret worth more than the file.
 *
 * @param key 32 bytes: r, then s
 * @returns 16 bytes
 */
export function poly1305(key: Buffer, message: Buffer): Buffer {
  const r = number(key, 0) & CLAMP
  let sum = 0n
  for (let at = 0; at < message.length; at += BLOCK) {
    sum = ((sum + blockAt(message, at)) * r) % PRIME
  }
  const tag = Buffer.alloc(BLOCK)
  const total = sum + number(key, BLOCK)
  tag.writeBigUInt64LE(total & WORD, 0)
  tag.writeBigUInt64LE((total >> 64n) & WORD, 8)
  return tag
}

/** A block as a number, with a one above its last byte: the last block may be short. */
function blockAt(message: Buffer, at: number): bigint {
  if (at + BLOCK <= message.length) return number(message, at) + (1n << 128n)
  const short = Buffer.alloc(BLOCK)
  message.copy(short, 0, at)
  short[message.length - at] = 1
  return number(short, 0)
}

/** 16 bytes, little-endian. */
function number(bytes: Buffer, at: number): bigint {
  return bytes.readBigUInt64LE(at) + (bytes.readBigUInt64LE(at + 8) << 64n)
}
