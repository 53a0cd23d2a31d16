/**
 * The first `count` 32-bit words of the fractional part of pi, which Blowfish starts its boxes from, high byte first.
 *
 * They are computed (Chudnovsky's series, some 14 digits a term, split in halves as large integers like it) rather than
 * listed: a thousand constants nobody can check by reading are worth less than thirty lines that anybody can.
 */
export function fractionOfPi(count: number): Buffer {
  const guard = 64
  const bits = count * 32 + guard
  const { q, t } = sumTerms(0, Math.ceil(bits / BITS_A_TERM))
  const pi = (426880n * q * squareRoot(10005n << BigInt(2 * bits))) / t
  const fraction = BigInt.asUintN(count * 32, pi >> BigInt(guard))
  return Buffer.from(fraction.toString(16).padStart(count * 8, '0'), 'hex')
}

/** log2(640320^3 / 24 / 72), rounded down. */
const BITS_A_TERM = 47

/** A stretch of the series: its sum is t / q, and p / q is what the terms after it are multiplied by. */
interface Stretch {
  readonly p: bigint
  readonly q: bigint
  readonly t: bigint
}

/** 1/pi = 12/640320^(3/2) * sum of (-1)^k (6k)! (13591409 + 545140134 k) / ((3k)! k!^3 640320^(3k)) */
function sumTerms(from: number, to: number): Stretch {
  if (to - from > 1) {
    const middle = (from + to) >> 1
    const a = sumTerms(from, middle)
    const b = sumTerms(middle, to)
    return { p: a.p * b.p, q: a.q * b.q, t: a.t * b.q + a.p * b.t }
  }
  const k = from
  const p = k === 0 ? 1n : BigInt(-(6 * k - 5) * (2 * k - 1) * (6 * k - 1))
  const q = k === 0 ? 1n : BigInt(k * k * k) * 10939058860032000n
  return { p, q, t: p * BigInt(13591409 + 545140134 * k) }
}

/** The square root to within one, by Newton's method: each step has twice the bits of the one before. */
function squareRoot(value: bigint): bigint {
  const hex = value.toString(16)
  const bits = (hex.length * 4 - Math.clz32(Number.parseInt(hex.charAt(0), 16)) + 27) >> 1
  let root = 1n
  let known = 0
  for (let step = 31 - Math.clz32(bits); step >= 0; step--) {
    const before = known
    known = bits >> step
    root = (root << BigInt(known - before - 1)) + (value >> BigInt(2 * bits - before - known + 1)) / root
  }
  return root
}
