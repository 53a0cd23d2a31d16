import { generatePrimeSync } from 'node:crypto'
import type { PublicAlgorithm } from '../src/algorithms/algorithm.js'
import { publicAlgorithms } from '../src/algorithms/table.js'
import { hasClosePrimes, hasSmallFactor } from '../src/check/factors.js'
import { checkPrimes, passesMillerRabin } from '../src/check/prime.js'
import { hasRocaFingerprint } from '../src/check/roca.js'
import { findWeaknesses } from '../src/check/weakness.js'
import { PublicKey } from '../src/key.js'
import { toBytes } from '../src/number.js'
import { effortOf } from './effort.js'

const damaged = (message: RegExp) =>
  expect.objectContaining({ code: 'damaged', message: expect.stringMatching(message) })

function row(name: string): PublicAlgorithm {
  const found = publicAlgorithms.find(algorithm => algorithm.name === name)
  if (!found) throw new Error(`no row ${name}`)
  return found
}

function rsaKey(n: bigint, e = 65537n): PublicKey {
  return PublicKey.fromParts(row('ssh-rsa'), { e: toBytes(e), n: toBytes(n) })
}

function primeOf(bits: number): bigint {
  return generatePrimeSync(bits, { bigint: true })
}

async function codesOf(key: PublicKey): Promise<string[]> {
  return (await findWeaknesses(key)).map(({ code }) => code)
}

/** Primes enough that their pairs are thousands of moduli. */
const primes = Array.from({ length: 90 }, () => primeOf(512))
const moduli = primes.flatMap((p, i) => primes.slice(i + 1).map(q => p * q))

describe('ROCA', () => {
  test('thousands of other moduli are not', () => {
    expect(moduli).toHaveLength(4005)
    expect(moduli.filter(hasRocaFingerprint)).toEqual([])
  })
})

describe('factors', () => {
  test('of thousands of moduli none is found', () => {
    expect(moduli.filter(hasClosePrimes)).toEqual([])
    expect(moduli.slice(0, 500).filter(hasSmallFactor)).toEqual([])
  })

  test.each([3n, 17n, 257n, 65521n, 65537n])('a factor of %s is found', async factor => {
    const other = primeOf(2048 - factor.toString(2).length + 1)
    expect(hasSmallFactor(factor * other)).toBe(true)
    expect(hasSmallFactor(other)).toBe(false)
    expect(await codesOf(rsaKey(factor * other))).toContain('small-factor')
  })
})

describe('primes of a private key', () => {
  test('large ones leave the event loop its turns, and are checked once', async () => {
    const mersenne = (n: bigint) => toBytes((1n << n) - 1n)
    let turns = 0
    const timer = setInterval(() => turns++, 5)
    const first = await effortOf(() => checkPrimes(mersenne(4253n), Buffer.of(3)))
    clearInterval(timer)
    expect(turns).toBeGreaterThan(10)
    expect(await effortOf(() => checkPrimes(Buffer.of(3), mersenne(4253n)))).toBeLessThan(first / 4)
    await expect(checkPrimes(Buffer.of(3), mersenne(4421n))).rejects.toEqual(damaged(/q is no prime$/))
  }, 240_000)

  test('the test for large ones agrees with a sieve, and is not fooled by known pseudoprimes', async () => {
    const composite = new Set<number>()
    for (let n = 2; n < 3000; n++) {
      if (!composite.has(n)) for (let m = n * n; m < 3000; m += n) composite.add(m)
      expect(await passesMillerRabin(BigInt(n), 32)).toBe(!composite.has(n))
    }
    expect(await passesMillerRabin(0n, 32)).toBe(false)
    expect(await passesMillerRabin(1n, 32)).toBe(false)
    // Strong pseudoprimes to the first 4, 9 and 12 primes.
    for (const n of [3215031751n, 3825123056546413051n, 318665857834031151167461n]) {
      expect(await passesMillerRabin(n, 32)).toBe(false)
    }
  })
})
