/**
 * The first `count` 32-bit words of the fractional part of pi, which Blowfish starts its boxes from.
 *
 * They are computed (Chudnovsky's series in integers, some 14 digits a term) rather than listed: a thousand constants
 * nobody can check by reading are worth less than twenty lines that anybody can.
 */
export function fractionOfPi(count: number): Int32Array {
  const guard = 64n
  const bits = BigInt(count) * 32n
  const one = 1n << (bits + guard)

  // 1/pi = 12/640320^(3/2) * sum of (-1)^k (6k)! (13591409 + 545140134 k) / ((3k)! k!^3 640320^(3k))
  let term = one
  let terms = one
  let weighted = 0n
  for (let k = 1n; term !== 0n; k++) {
    term = (term * -((6n * k - 5n) * (2n * k - 1n) * (6n * k - 1n))) / (k * k * k * 10939058860032000n)
    terms += term
    weighted += k * term
  }
  const pi = (426880n * squareRoot(10005n * one * one) * one) / (13591409n * terms + 545140134n * weighted)

  const fraction = (pi - 3n * one) >> guard
  const bytes = Buffer.from(fraction.toString(16).padStart(count * 8, '0'), 'hex')
  return Int32Array.from({ length: count }, (_, i) => bytes.readInt32BE(i * 4))
}

/** The whole part of the square root, by Newton's method from above. */
function squareRoot(value: bigint): bigint {
  let guess = 1n << BigInt(Math.ceil(value.toString(16).length * 2))
  for (;;) {
    const better = (guess + value / guess) >> 1n
    if (better >= guess) return guess
    guess = better
  }
}
