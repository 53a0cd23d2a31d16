import { checkPrimeSync, createHash, generatePrimeSync, getDiffieHellman, randomBytes } from 'node:crypto'
import type { Parts, PublicAlgorithm } from '../src/algorithms/algorithm.js'
import { algorithms, publicAlgorithms } from '../src/algorithms/table.js'
import { contains, type DebianList } from '../src/check/debian.js'
import { hasClosePrimes, hasSmallFactor } from '../src/check/factors.js'
import { checkPrimes } from '../src/check/prime.js'
import { hasRocaFingerprint } from '../src/check/roca.js'
import { hasSmallOrder } from '../src/check/small-order.js'
import { findWeaknesses, type Weakness } from '../src/check/weakness.js'
import { generate } from '../src/generate.js'
import { PublicKey } from '../src/key.js'
import { modPow, toBigInt, toBytes } from '../src/number.js'
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

function keyOfLine(base64: string): PublicKey {
  return PublicKey.fromBlob(Buffer.from(base64, 'base64'))
}

function primeOf(bits: number): bigint {
  return generatePrimeSync(bits, { bigint: true })
}

async function codesOf(key: PublicKey): Promise<string[]> {
  return (await findWeaknesses(key)).map(({ code }) => code)
}

/** Odd, of exactly that many bits, and no product of two primes of a kind; enough where only residues count. */
function randomModulus(bits: number): bigint {
  return toBigInt(randomBytes(bits / 8)) | (1n << BigInt(bits - 1)) | 1n
}

describe('what is found', () => {
  test.each(algorithms.filter(algorithm => algorithm.generate).map(({ type }) => type))(
    'a fresh %s key is good',
    async type => {
      const { publicKey } = await generate(type)
      expect(await codesOf(publicKey)).toEqual(type === 'ecdsa-521' ? ['p521-putty'] : [])
    },
  )

  test('every finding is whole: a sentence without a full stop, and no row twice', async () => {
    const keys = [metasploitable, sufferance, rsaKey(randomModulus(1024) * 3n, 3n), await fresh('ecdsa-521')]
    const found: Weakness[] = (await Promise.all(keys.map(findWeaknesses))).flat()
    expect(new Set(found.map(({ code }) => code)).size).toBeGreaterThan(5)
    for (const { text, hint, severity } of found) {
      expect(text).toMatch(/^\S.*[^.!]$/)
      expect(hint ?? 'x').toMatch(/[^.!]$/)
      expect(['broken', 'weak', 'note']).toContain(severity)
    }
  })

  test.each([
    [1024, ['too-small']],
    [2040, ['too-small']],
    [2048, []],
    [3072, []],
  ])('an RSA key of %i bits: %j', async (bits, codes) => {
    expect(await codesOf(rsaKey(withoutSmallFactor(bits)))).toEqual(codes)
  })

  test.each([
    [3n, ['small-exponent']],
    [5n, ['small-exponent']],
    [35n, []],
    [37n, []],
    [65537n, []],
  ])('an exponent of %s: %j', async (e, codes) => {
    expect(await codesOf(rsaKey(withoutSmallFactor(2048), e))).toEqual(codes)
  })

  test('a certificate has the weaknesses of its key', async () => {
    const empty = Buffer.alloc(0)
    const claims = { nonce: Buffer.alloc(32), serial: Buffer.alloc(8), kind: Buffer.from([0, 0, 0, 1]), keyId: empty }
    const times = { principals: empty, after: Buffer.alloc(8), before: Buffer.alloc(8, 0xff) }
    const rest = { critical: empty, extensions: empty, reserved: empty, authority: empty, signature: empty }
    const certify = (name: string, parts: Parts) =>
      PublicKey.fromParts(row(name), { ...claims, ...times, ...rest, ...parts })
    expect(await codesOf(certify('ssh-rsa-cert-v01@openssh.com', metasploitable.parts))).toEqual(['debian'])
    expect(await codesOf(certify('ssh-dss-cert-v01@openssh.com', sufferance.parts))).toEqual(await codesOf(sufferance))
    expect(await codesOf(certify('ssh-rsa-cert-v01@openssh.com', rsaKey(withoutSmallFactor(2048)).parts))).toEqual([])
  })

  test('hostile keys take no longer than a glance', async () => {
    const [long, short] = ['modp18', 'modp16'].map(name => toBigInt(getDiffieHellman(name).getPrime())) as [
      bigint,
      bigint,
    ]
    const hostile = [long * short * short, long * long, (1n << 16384n) - 1n, ((1n << 8192n) - 1n) ** 2n]
    const effort = await effortOf(async () => {
      for (const n of hostile) await findWeaknesses(rsaKey(n))
    })
    expect(effort).toBeLessThan(2000)
  })
})

// Keys whose private halves have been public since 2008. The first two stand in practice machines; their fingerprints (md5
// of the blob) and ids are published with the keys. The others are what scripts/debian-lists.mjs shows.
/** Process id 5429 on i386. */
const metasploitable = keyOfLine(
  'AAAAB3NzaC1yc2EAAAABIwAAAQEApmGJFZNl0ibMNALQx7M6sGGoi4KNmj6PVxpbpG70lShHQqldJkcteZZdPFSbW76IUiPR0Oh+WBV0x1c6iPL/' +
    '0zUYFHyFKAz1e6/5teoweG1jr2qOffdomVhvXXvSjGaSFwwOYB8R0QxsOWWTQTYSeBa66X6e777GVkHCDLYgZSo8wWr5JXln/Tw7XotowHr8FEGv' +
    'w2zW1krU3Zo9Bzp0e0ac2U+qUGIzIu/WwgztLZs5/D9IyhtRWocyQPE+kcP+Jz2mt4y1uA73KqoXfdw5oGUkxdFo9f1nu2OwkjOc+Wv8Vw7bwkf+' +
    '1RgiOMgiJ5cCs4WocyVxsXovcNnbALTp3w==',
)
/** Process id 16858 on i386. */
const sufferance = keyOfLine(
  'AAAAB3NzaC1kc3MAAACBAOgzzMCD3Im5bRnAVdV3yLwTsyNAi3IiFShIfx9bUcUNmyFDM7SaFrVBuuIW+2qnDF7vybPiMNI9/dQ7ck2gLUqPu2F4' +
    'gfXml8W9RKcqTOVksRmQ5s0O4c88mCqV3F1nzKKMSZbK9yYWbafabX91f2SinBQZbfMGv8+R2TyE78LjAAAAFQDXtJ7Pca0RkEBFcBLfPzmCUBpS' +
    'eQAAAIEAlK4NYlfGt3uInBaKG0kK/N0nZwX7ji++5xSiLLjI/0M9xacdWaZcPBZ4GretGGIhnYEPlBote8GlG1Ap7li39ATazIXJQguG+Mgun3de' +
    '73RugX/oGsUt5oatCS2Lo9mfRBijlVYChLyQbgkZMwKziwR1BHUWE/jkCKT7bPEJvw8AAACBAJZHIWHJybvrIcs9oB5hTL/8r+C9gDx+R3vcEFQq' +
    '58D/UDi5FWzA71IZfcOt2+EPabP77gB6Ad/nNy3BrqmkocwLX+Of1uwMhgD63UeE5fUOuIbW+z4OF1M9tuzFAGALDMHJSx8U8Z11lsiuO4Owx11p' +
    'Ao8Ebq0sKNDd0GzvVQxE',
)

/** Process id 7 on amd64. */
const rsaOnAmd64 = keyOfLine(
  'AAAAB3NzaC1yc2EAAAABIwAAAQEAsTQNsURy6BUCnAXa1h8yWLaSd1eT/nEPWsM1X4MbbSjR2yPfeKrPUD62jaLJ2TIWKAdmSDsUqzEKfcVfvv5X' +
    'WnlrPMjWGVoEOUA4iuyJvrtrIhkY7Mq5PSv98v2hq/kfVdzH28EQnFYs76bBA8D83myYUb90VmAuhPc+Ft6S5/VVjLc712mlrgpo1ovKLneQSCFN' +
    'MqEHepdUMmo2qaPP0DhpYTK12hsf88K050Xj7wqkb6lFDbbdxc5nhiLRaT/I5TIZJiRfru0YdXWufLgeFO6plmSSbHiKcCsSE+JiUGtgSHDBFLEB' +
    'g/ua/eW+BLUWVzKVmpVasp/M+Rp/NPT7bw==',
)
/** Process id 1234 on amd64. */
const dsaOnAmd64 = keyOfLine(
  'AAAAB3NzaC1kc3MAAACBAJW7LYm/QTvDc18nH00tKvfON2FJa2/b1fPOrs3w3KAB6/Nms73wZ/MqOvaCPvDaEw/83xXYGeZo+Y1N8uyzJrJSdkER' +
    'g2qOuVWDoBvbeKdfnuIAMalvqzF4CfNxrBSUXcOZXQ1Cxo86tiEWwLrsUP2+5pAYyRbZyGHfll8Va8VvAAAAFQC6jmxLw2qQBmlQGrcYAplJYQuN' +
    'mwAAAIBygmdzyo2ORufqlVy98b/YWmwkRcKqO/jOhOcQRBBIvfQ9HSl1KtZyx0Y3Di2CM3FpQj15ZD4kZ0j7XFXDB++NJN1+XIadNxrtZ/Ha1lPA' +
    'epceMzW4RV8EzfaU82tHVo3Wws8MoOkDU6PlPZuepT0xfcZC2HYOpkL0aoYjMQNNTQAAAIAIiBtjYO95DFX+6WtXEAamgWLB3b9UzYo9Q4gyc5ZN' +
    'KuGKNL7MJwwg1oR4cmpNhznOeiRlVEkRO7kbZG8JnCQeudjOLvzfiEin9djb2M9wrgXbOi1aaquethxLqe8FqhlSJAK1jvCRCVr8o+Q1r680jUAQ' +
    '5dIcfYI61RHAFR6NqA==',
)

describe("Debian's broken OpenSSL", () => {
  test('the published keys are the ones published', () => {
    expect(md5(metasploitable.blob)).toBe('57c3115d77c56390332dc5c49978627a')
    expect(md5(sufferance.blob)).toBe('f1fb2162a02f0f7c40c210e6167f05ca')
  })

  test('keys of both builds are found', async () => {
    expect(await codesOf(metasploitable)).toEqual(['debian'])
    expect(await codesOf(sufferance)).toEqual(['debian', 'dsa', 'sha1-only'])
    expect(await codesOf(rsaOnAmd64)).toEqual(['debian'])
    expect(await codesOf(dsaOnAmd64)).toEqual(['debian', 'dsa', 'sha1-only'])
  })

  test('an RSA key is found whatever its exponent', async () => {
    expect(await codesOf(rsaKey(toBigInt(part(metasploitable, 'n')), 65537n))).toEqual(['debian'])
  })

  test('the same key with one bit changed is not found', async () => {
    const n = toBigInt(part(metasploitable, 'n'))
    for (const bit of [1n, 8n, 1000n, 2040n]) expect(await codesOf(rsaKey(n ^ (1n << bit)))).not.toContain('debian')
  })

  test('other keys are not found', async () => {
    for (let i = 0; i < 100; i++) {
      expect(await codesOf(rsaKey(randomModulus(2048)))).not.toContain('debian')
    }
  })

  test('lists hold what they claim, in order, few enough for their 40 bits', async () => {
    const modules = [await import('../src/check/debian-rsa-2048.js'), await import('../src/check/debian-dsa-1024.js')]
    for (const { list } of modules) {
      const entries = decode(list)
      expect(entries).toHaveLength(list.count)
      expect(list.count).toBeGreaterThan(65_520)
      expect(list.count / 2 ** 40).toBeLessThan(1e-7)
      for (const entry of [entries[0], entries[1], entries[777], entries[40_000], entries.at(-1)].map(Number)) {
        for (const value of [entry - 1, entry, entry + 1]) {
          const wanted = Buffer.from(value.toString(16).padStart(10, '0'), 'hex')
          expect(contains(list, wanted)).toBe(entries.includes(value))
        }
      }
      for (const wanted of ['00', 'ff'].map(digits => Buffer.from(digits.repeat(5), 'hex'))) {
        expect(contains(list, wanted)).toBe(false)
      }
      expect(entries.every((entry, i) => entry > (entries[i - 1] ?? -1))).toBe(true)
      expect(entries.at(-1)).toBeLessThan(2 ** 40)
    }
  })
})

describe('ROCA', () => {
  const withPrimesUpTo = (largest: number) =>
    Array.from({ length: largest - 1 }, (_, i) => i + 2)
      .filter(n => Array.from({ length: n - 2 }, (_, i) => i + 2).every(divisor => n % divisor !== 0))
      .reduce((product, prime) => product * BigInt(prime), 1n)

  /** A prime as the faulty library makes them; M has 39 primes for short keys, 71 for keys of 1024 bits, 126 for 2048. */
  function faultyPrime(bits: number, m: bigint): bigint {
    // The two top bits are set, so that the modulus has all its bits.
    const [least, most] = [(3n << BigInt(bits - 2)) / m + 1n, (1n << BigInt(bits)) / m]
    for (;;) {
      const k = least + (toBigInt(randomBytes(bits / 8)) % (most - least))
      const candidate = k * m + modPow(65537n, toBigInt(randomBytes(32)), m)
      if (checkPrimeSync(candidate)) return candidate
    }
  }

  test.each([
    [256, 167],
    [512, 353],
    [1024, 701],
  ])('primes of %i bits as the faulty library made them (M up to %i) are found', async (bits, largest) => {
    const m = withPrimesUpTo(largest)
    const [p, q] = [faultyPrime(bits, m), faultyPrime(bits, m)]
    expect(hasRocaFingerprint(p * q)).toBe(true)
    expect(hasRocaFingerprint(p)).toBe(true)
    // One faulty prime is not enough.
    expect(hasRocaFingerprint(p * primeOf(bits))).toBe(false)
    if (bits > 256) expect(await codesOf(rsaKey(p * q))).toContain('roca')
  })

  test('numbers that are a power of 65537 modulo each prime, but not the same power, are not', () => {
    // By the Chinese remainder theorem: 1 modulo all primes but the last, 65537^1 there.
    const m = withPrimesUpTo(167)
    const others = m / 167n
    const step = others * modPow(others, 165n, 167n)
    expect(hasRocaFingerprint(1n)).toBe(true)
    expect(hasRocaFingerprint(1n + m * 12345n)).toBe(true)
    expect(hasRocaFingerprint((1n + step * (65537n - 1n)) % m)).toBe(false)
  })
})

describe('factors', () => {
  test('primes that are neighbours, nearly neighbours or equal are found', async () => {
    const p = primeOf(1024)
    let next = p + 2n
    while (!checkPrimeSync(next)) next += 2n
    expect(hasClosePrimes(p * next)).toBe(true)
    expect(hasClosePrimes(p * p)).toBe(true)
    // The distance that a hundred steps reach grows with the fourth root of the modulus.
    expect(hasClosePrimes(p * (p + (1n << 515n)))).toBe(true)
    expect(hasClosePrimes(p * (p + (1n << 530n)))).toBe(false)
    expect(await codesOf(rsaKey(p * next))).toEqual(['close-primes'])
  })

  test('a factor of 65539 is the first that is not', () => {
    expect(hasSmallFactor(65539n * primeOf(1024))).toBe(false)
  })
})

describe('points of small order', () => {
  const P = 2n ** 255n - 19n
  const encode = (y: bigint, sign: number) => {
    const bytes = Buffer.from(y.toString(16).padStart(64, '0'), 'hex').reverse()
    bytes.writeUInt8(bytes.readUInt8(31) | (sign << 7), 31)
    return bytes
  }
  /** y of a point of order 8: its square is a root of d*y^4 + 2*y^2 - 1, from doubling to y = 0. */
  const orderEight = () => {
    const root = (n: bigint) => {
      const candidate = modPow(n, (P + 3n) / 8n, P)
      if ((candidate * candidate) % P === n) return candidate
      const turned = (candidate * modPow(2n, (P - 1n) / 4n, P)) % P
      return (turned * turned) % P === n ? turned : undefined
    }
    const inverse = (n: bigint) => modPow(n, P - 2n, P)
    const d = ((P - 121665n) * inverse(121666n)) % P
    const inner = root((d + 1n) % P) ?? 0n
    return [inner - 1n, P - inner - 1n].flatMap(top => {
      const y = root((((top + P) % P) * inverse(d)) % P)
      return y === undefined ? [] : [y, P - y]
    })
  }

  test('all there are, in every way they can be written', async () => {
    const ys = [0n, 1n, P - 1n, P, P + 1n, ...orderEight()]
    expect(ys).toHaveLength(7)
    for (const y of ys) {
      for (const sign of [0, 1]) {
        expect(hasSmallOrder(encode(y, sign))).toBe(true)
        expect(await codesOf(PublicKey.fromParts(row('ssh-ed25519'), { pk: encode(y, sign) }))).toEqual(['small-order'])
      }
    }
  })

  test('one of them accepts a signature made without a key', async () => {
    const key = PublicKey.fromParts(row('ssh-ed25519'), { pk: encode(1n, 0) })
    const forged = { scheme: 'ssh-ed25519', blob: Buffer.concat([encode(1n, 0), Buffer.alloc(32)]) }
    expect(await key.verify(Buffer.from('anything'), forged)).toBe(true)
    expect((await findWeaknesses(key))[0]?.severity).toBe('broken')
  })

  test('others are not', () => {
    for (const y of [2n, 3n, P - 2n, P + 2n, 9n]) expect(hasSmallOrder(encode(y, 0))).toBe(false)
    expect(hasSmallOrder(Buffer.alloc(31))).toBe(false)
  })
})

describe('primes of a private key', () => {
  /** To Fermat's test a prime: (6k+1)(12k+1)(18k+1), all of them prime (Chernick 1939). 1026 bits. */
  const k = 5n * 2n ** 336n + 8920n
  const carmichael = (6n * k + 1n) * (12n * k + 1n) * (18n * k + 1n)

  test('pass', async () => {
    await expect(checkPrimes(toBytes(primeOf(1024)), toBytes(primeOf(1024)))).resolves.toBeUndefined()
    await expect(checkPrimes(Buffer.of(3), toBytes(primeOf(512)))).resolves.toBeUndefined()
  })

  test('what only looks like one does not', async () => {
    const p = primeOf(1024)
    const n = carmichael
    for (const base of [2n, 3n, 65537n]) expect(modPow(base, n - 1n, n)).toBe(1n)
    await expect(checkPrimes(toBytes(n), toBytes(p))).rejects.toEqual(damaged(/contradicts itself: p is no prime$/))
    await expect(checkPrimes(toBytes(p), toBytes(n))).rejects.toEqual(damaged(/contradicts itself: q is no prime$/))
    await expect(checkPrimes(toBytes(p * p), toBytes(p))).rejects.toEqual(damaged(/p is no prime$/))
    await expect(checkPrimes(toBytes(p + 1n), toBytes(p))).rejects.toEqual(damaged(/p is no prime$/))
  })

  test('a product that is proved stays so, and proves nothing of other factors', async () => {
    const [p, q] = [primeOf(512), primeOf(512)]
    await checkPrimes(toBytes(p), toBytes(q))
    await expect(checkPrimes(toBytes(q), toBytes(p))).resolves.toBeUndefined()
    await expect(checkPrimes(Buffer.of(1), toBytes(p * q))).rejects.toEqual(damaged(/a factor is 1$/))
    await expect(checkPrimes(toBytes(p * q), Buffer.of(3))).rejects.toEqual(damaged(/p is no prime$/))
  })

  test('one that is longer than half of the longest modulus is refused at once', async () => {
    const refused = () =>
      expect(checkPrimes(Buffer.of(3), toBytes(1n << 8192n))).rejects.toEqual(
        expect.objectContaining({ code: 'unsupported' }),
      )
    expect(await effortOf(refused)).toBeLessThan(200)
  })
})

async function fresh(type: string): Promise<PublicKey> {
  return (await generate(type)).publicKey
}

/** A modulus that is good as far as public checks can see. */
function withoutSmallFactor(bits: number): bigint {
  return primeOf(Math.ceil(bits / 2)) * primeOf(bits - Math.ceil(bits / 2))
}

function part(key: PublicKey, name: string): Buffer {
  return key.parts[name] ?? Buffer.alloc(0)
}

function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex')
}

/** All entries, read another way than the library does. */
function decode({ highs, lows }: DebianList): number[] {
  const bits = Array.from(Buffer.from(highs, 'base64'), byte => byte.toString(2).padStart(8, '0')).join('')
  const tails = Buffer.from(lows, 'base64')
  const groups = bits.split('0').slice(0, 2 ** 16)
  const heads = groups.flatMap(({ length }, high) => Array<number>(length).fill(high))
  return heads.map((high, i) => high * 2 ** 24 + tails.readUIntBE(3 * i, 3))
}
