import { createHash } from 'node:crypto'
import type { PublicKey } from '../key.js'

/** Sorted entries of 40 bits each, the first of digests: packed so that one can be looked up without reading all. */
export interface DebianList {
  readonly count: number
  /** For each value that the first 16 bits can have: a one for each entry that begins so, then a zero. In base64. */
  readonly highs: string
  /** The last 24 bits of each entry. In base64. */
  readonly lows: string
}

interface Kind {
  readonly type: string
  readonly bits: number
  /** The part that is hashed: what differs from key to key. The exponent of RSA keys may be any. */
  readonly part: string
  load(): Promise<DebianList>
}

/**
 * Kinds of keys there is a list for: what ssh-keygen made on Debian's broken OpenSSL (CVE-2008-0166) in its two common
 * builds (i386, amd64), process ids 1 to 32767. Each list has a module of its own, loaded when a key of its kind comes by.
 * Not listed: other sizes, big-endian machines, keys made by `openssl genrsa`.
 */
const kinds: readonly Kind[] = [
  { type: 'rsa', bits: 2048, part: 'n', load: async () => (await import('./debian-rsa-2048.js')).list },
  { type: 'dsa', bits: 1024, part: 'y', load: async () => (await import('./debian-dsa-1024.js')).list },
]

/** True when the key is in one of the lists. A key that is in none is taken for one of them with less than 10^-7. */
export async function isDebianWeak(key: PublicKey): Promise<boolean> {
  const { type } = key.algorithm.certifies ?? key.algorithm
  const kind = kinds.find(row => row.type === type && row.bits === key.bits)
  const part = kind && key.parts[kind.part]
  if (!part) return false
  const digest = createHash('sha256').update(part).digest()
  return contains(await kind.load(), digest)
}

/** @param wanted begins with the 40 bits in question */
export function contains(list: DebianList, wanted: Buffer): boolean {
  const highs = Buffer.from(list.highs, 'base64')
  const lows = Buffer.from(list.lows, 'base64')
  const high = wanted.readUInt16BE(0)
  const low = wanted.readUIntBE(2, 3)
  let zeros = 0
  let ones = 0
  let at = 0
  // By bytes to the one where the group of `high` begins, then by bits.
  for (; zeros + 8 <= high; at += 8) {
    const inByte = countOnes(highs[at >> 3] ?? 0)
    if (zeros + 8 - inByte >= high) break
    ones += inByte
    zeros += 8 - inByte
  }
  for (; zeros <= high && at < 8 * highs.length; at++) {
    if (((highs[at >> 3] ?? 0) << (at & 7)) & 0x80) {
      if (zeros === high && lows.readUIntBE(3 * ones, 3) === low) return true
      ones++
    } else zeros++
  }
  return false
}

function countOnes(byte: number): number {
  const pairs = byte - ((byte >> 1) & 0x55)
  const quads = (pairs & 0x33) + ((pairs >> 2) & 0x33)
  return (quads + (quads >> 4)) & 0x0f
}
