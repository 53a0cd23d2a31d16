import { checkPrime, createHash, randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { KeytoolError } from '../error.js'
import { toBigInt, toBytes } from '../number.js'
import { bitLength } from '../wire.js'

/** Half of the longest modulus there is, in bits. Longer factors belong to no real key, and would cost minutes. */
const LONGEST = 8192
/** Up to this length node's own test is quick enough. It never makes fewer than 64 rounds, above 2048 bits 128. */
const LONGEST_FOR_NODE = 4096
/** Of Miller-Rabin with random bases: a composite made to pass does so with 4^-32 at the most. */
const ROUNDS = 32
/**
 * The same above {@link LONGEST_FOR_NODE}. A number that is composite by accident fails the first round (it passes with
 * less than 2^-100, Damgard, Landrock and Pomerance 1993); one made to pass does so with 4^-4, and gains its maker
 * nothing: whoever makes a key knows it.
 */
const ROUNDS_OF_LARGE = 4
/** Digits of the exponent between two turns of the event loop; about 15 ms at the longest. */
const TURN = 32
/** Digests of products known to have two primes. What has two can't be the product of others: once is enough. */
const proved = new Set<string>()
const MOST_PROVED = 1024

/**
 * Proves that the factors of an RSA modulus are primes; all else in a key can be made to fit factors that are none.
 * Takes about 20 ms for a key of 2048 bits, 0.1 s for 4096, 2 s for 8192, 4 s for 16384, and does not stop the event
 * loop. A key that was checked before in this process takes no time.
 *
 * @param p,q unsigned, big-endian; whether they belong to a key is checked elsewhere
 * @throws KeytoolError `damaged` if one is no prime, `unsupported` if one is longer than half of the longest modulus
 */
export async function checkPrimes(p: Buffer, q: Buffer): Promise<void> {
  for (const factor of [p, q]) {
    const bits = bitLength(factor)
    if (bits < 2) throw contradiction('a factor is 1')
    if (bits > LONGEST) {
      throw new KeytoolError('unsupported', `an RSA key with a prime of ${bits} bits is not supported`)
    }
  }
  const product = createHash('sha256')
    .update(toBytes(toBigInt(p) * toBigInt(q)))
    .digest('base64')
  if (proved.has(product)) return
  const [isP, isQ] = await Promise.all([isPrime(p), isPrime(q)])
  if (!isP) throw contradiction('p is no prime')
  if (!isQ) throw contradiction('q is no prime')
  if (proved.size >= MOST_PROVED) proved.clear()
  proved.add(product)
}

async function isPrime(bytes: Buffer): Promise<boolean> {
  // A copy: node reads it in another thread, and the key may be wiped meanwhile.
  const candidate = Buffer.from(bytes)
  try {
    if (bitLength(candidate) <= LONGEST_FOR_NODE) return await passesNodesTest(candidate)
    return await passesMillerRabin(toBigInt(candidate), ROUNDS_OF_LARGE)
  } finally {
    candidate.fill(0)
  }
}

function passesNodesTest(candidate: Buffer): Promise<boolean> {
  return new Promise((resolve, reject) => {
    checkPrime(candidate, { checks: ROUNDS }, (error, passes) => (error ? reject(error) : resolve(passes)))
  })
}

/** Miller-Rabin with random bases. Exported so that it is tested on numbers small enough for a test. */
export async function passesMillerRabin(n: bigint, rounds: number): Promise<boolean> {
  if (n < 4n) return n === 2n || n === 3n
  if (n % 2n === 0n) return false
  let odd = n - 1n
  let twos = 0
  for (; odd % 2n === 0n; twos++) odd /= 2n
  for (let round = 0; round < rounds; round++) {
    let power = await modPowInTurns(randomBase(n), odd, n)
    let passes = power === 1n || power === n - 1n
    for (let i = 1; i < twos && !passes; i++) {
      power = (power * power) % n
      passes = power === n - 1n
      if (i % (4 * TURN) === 0) await setImmediate()
    }
    if (!passes) return false
  }
  return true
}

/** A number from 2 to n - 2. Eight bytes more than n has, so that none of them is noticeably more likely. */
function randomBase(n: bigint): bigint {
  return 2n + (toBigInt(randomBytes(Math.ceil(n.toString(16).length / 2) + 8)) % (n - 3n))
}

/** base^exponent mod modulus, four bits of the exponent at a time. */
async function modPowInTurns(base: bigint, exponent: bigint, modulus: bigint): Promise<bigint> {
  const powers = [1n]
  while (powers.length < 16) powers.push(((powers.at(-1) ?? 1n) * base) % modulus)
  const digits = exponent.toString(16)
  let power = 1n
  for (let i = 0; i < digits.length; i++) {
    for (let k = 0; k < 4; k++) power = (power * power) % modulus
    power = (power * (powers[Number.parseInt(digits.charAt(i), 16)] ?? 1n)) % modulus
    if (i % TURN === TURN - 1) await setImmediate()
  }
  return power
}

function contradiction(what: string): KeytoolError {
  return new KeytoolError('damaged', `the RSA key contradicts itself: ${what}`)
}
