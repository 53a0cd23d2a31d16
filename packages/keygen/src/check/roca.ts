/**
 * Primes of Infineon's faulty library are k * M + (65537^a mod M), where M is the product of the first primes; so every
 * modulus made of two of them is a power of 65537 modulo M (Nemec et al., "The Return of Coppersmith's Attack", 2017).
 * The shorter the key, the fewer primes M has; its shortest, for keys of 512 to 960 bits, divides all others.
 */
const GENERATOR = 65537
/** Of the shortest M. */
const LARGEST_PRIME = 167

/** What is known of a modulus: 65537 to the power of `exponent` plus any multiple of `order`. */
interface Logarithm {
  readonly exponent: number
  readonly order: number
}

/**
 * True for an RSA modulus with the fingerprint of CVE-2017-15361. A modulus that was made by anything else has it with a
 * chance of about 2^-150.
 */
export function hasRocaFingerprint(modulus: bigint): boolean {
  const found: Logarithm[] = []
  for (const prime of primes()) {
    const logarithm = logarithmOf(Number(modulus % BigInt(prime)), prime)
    // One exponent must do for all primes: any two must agree modulo what their orders have in common.
    if (!logarithm || !found.every(other => agree(logarithm, other))) return false
    found.push(logarithm)
  }
  return true
}

/** Which power of the generator a number is modulo a small prime, if any. */
function logarithmOf(value: number, prime: number): Logarithm | undefined {
  let exponent = -1
  let power = 1
  let order = 0
  do {
    if (power === value) exponent = order
    power = (power * GENERATOR) % prime
    order++
  } while (power !== 1)
  return exponent < 0 ? undefined : { exponent, order }
}

function agree(one: Logarithm, other: Logarithm): boolean {
  return (one.exponent - other.exponent) % greatestDivisor(one.order, other.order) === 0
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b)
}

function primes(): number[] {
  const found: number[] = []
  for (let n = 3; n <= LARGEST_PRIME; n += 2) if (found.every(prime => n % prime !== 0)) found.push(n)
  return found
}
