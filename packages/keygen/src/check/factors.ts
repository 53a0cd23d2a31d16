/** Steps of Fermat's method. Generators with the fault (CVE-2022-26320) fall in the first few; good keys never do. */
const STEPS = 100
/** Factors are looked for up to here. */
const SMALL = 65537

/**
 * True when Fermat's method finds the two factors of an odd RSA modulus within 100 steps: it looks for them at equal
 * distances from the root, where they are when they are close together. Equal factors are found, too.
 */
export function hasClosePrimes(modulus: bigint): boolean {
  let middle = rootOf(modulus)
  if (middle * middle < modulus) middle++
  let rest = middle * middle - modulus
  for (let step = 0; step < STEPS; step++) {
    if (isSquare(rest)) return true
    // The next square is larger by 2 * middle + 1.
    rest += 2n * middle + 1n
    middle++
  }
  return false
}

/** True when a prime up to 65537 divides the modulus of an RSA key, as none does in a key that was made well. */
export function hasSmallFactor(modulus: bigint): boolean {
  groups ??= groupsOf(oddPrimes(SMALL))
  return groups.some(({ product, primes }) => {
    const rest = Number(modulus % product)
    return primes.some(prime => rest % prime === 0)
  })
}

/** The largest number whose square is not above `n`: Newton's method from above, for numbers of any length. */
function rootOf(n: bigint): bigint {
  if (n < 2n) return n
  let root = 1n << BigInt(Math.ceil((n.toString(16).length * 4) / 2))
  for (;;) {
    const next = (root + n / root) >> 1n
    if (next >= root) return root
    root = next
  }
}

function isSquare(n: bigint): boolean {
  // Four of five numbers are seen to be no squares by their last six bits.
  if (!SQUARES_MOD_64.has(Number(n & 63n))) return false
  const root = rootOf(n)
  return root * root === n
}

const SQUARES_MOD_64: ReadonlySet<number> = new Set([0, 1, 4, 9, 16, 17, 25, 33, 36, 41, 49, 57])

/** Primes whose product is exact as a number, too: one long division serves them all. */
interface Group {
  readonly product: bigint
  readonly primes: readonly number[]
}

let groups: readonly Group[] | undefined

function groupsOf(primes: readonly number[]): Group[] {
  const found: Group[] = []
  let group: number[] = []
  let product = 1
  for (const prime of primes) {
    if (product * prime > Number.MAX_SAFE_INTEGER) {
      found.push({ product: BigInt(product), primes: group })
      group = []
      product = 1
    }
    group.push(prime)
    product *= prime
  }
  return [...found, { product: BigInt(product), primes: group }]
}

/** Eratosthenes's sieve. */
function oddPrimes(largest: number): number[] {
  const composite = new Uint8Array(largest + 1)
  const primes: number[] = []
  for (let n = 3; n <= largest; n += 2) {
    if (composite[n]) continue
    primes.push(n)
    for (let multiple = n * n; multiple <= largest; multiple += 2 * n) composite[multiple] = 1
  }
  return primes
}
