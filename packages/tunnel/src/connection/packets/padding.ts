import { randomFillSync } from 'node:crypto'

/** The least a packet is padded with, in bytes: RFC 4253 section 6. */
export const LEAST_PADDING = 4

const pool = Buffer.alloc(4096)
let used: number = pool.length

/**
 * Writes random bytes, each of them once. Asking the system's generator for a dozen bytes costs as much as for thousands.
 * @param place at most 4096 bytes
 */
export function writePadding(place: Buffer): void {
  if (used + place.length > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  pool.copy(place, 0, used, used + place.length)
  used += place.length
}

/** How much is needed behind a payload, so that both with the padding's length become a multiple of `block`. */
export function lengthOfPadding(payload: number, block: number): number {
  const padding = block - ((1 + payload) % block)
  return padding < LEAST_PADDING ? padding + block : padding
}
