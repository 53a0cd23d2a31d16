// Computes the lists of packages/keygen/src/check/debian-*.ts: which public keys ssh-keygen made on Debian's OpenSSL of
// 2006 to 2008 (CVE-2008-0166). There the generator of random numbers ignored what it was fed; what came out depended on
// the process id alone, on the size of a long and on the order of its bytes. This is a model of that generator and of
// how OpenSSL 0.9.8 took primes from it; it makes the same keys as the real one did, and shows public parts only.
//
//   node scripts/debian-lists.mjs                      computes all and writes the modules: hours
//   node scripts/debian-lists.mjs rsa 2048 i386 5429   shows one key as a line of authorized_keys
import { checkPrimeSync, createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** In bytes: of the pool, of a digest, and what is given out of one. */
const POOL = 1023
const DIGEST = 20
const HALF = 10
const LAST_ID = 32767

/** What differs between builds. */
const builds = {
  i386: { long: 4, big: false },
  amd64: { long: 8, big: false },
  powerpc: { long: 4, big: true },
}

class Generator {
  #long
  #big
  #id
  // An index of POOL itself can occur: it is read at 0, but written at POOL. Hence the room behind.
  #pool = Buffer.alloc(POOL + DIGEST)
  #digest = Buffer.alloc(DIGEST)
  #at = 0
  #filled = 0
  #taken = 0
  #added = 0
  #stirred = false

  /** As it is when ssh-keygen begins to make a key. */
  constructor({ long, big }, id) {
    this.#long = long
    this.#big = big
    this.#id = id
    // 32 bytes of /dev/urandom, process id, user id and time; then ssh-keygen seeds its own generator.
    for (const length of [32, long, long, long]) this.add(length)
    this.take(20)
  }

  /** Mixes in bytes of which only the number matters: that was the fault. */
  add(length) {
    let digest = this.#digest
    let at = this.#at
    this.#at += length
    if (this.#at >= POOL) this.#filled = POOL
    this.#at %= POOL
    this.#filled = Math.max(this.#filled, this.#at)
    for (let left = length; left > 0; left -= DIGEST) {
      const size = Math.min(left, DIGEST)
      digest = sha1(digest, this.#read(at, size, POOL), this.#counters(this.#taken, this.#added++))
      at = this.#write(at, digest.subarray(0, size), POOL)
    }
    for (let i = 0; i < DIGEST; i++) this.#digest[i] ^= digest[i]
  }

  take(length) {
    for (let left = POOL; left > 0 && !this.#stirred; left -= DIGEST) this.add(DIGEST)
    this.#stirred = true
    const size = this.#filled
    const counters = this.#counters(this.#taken++, this.#added)
    let at = this.#at
    this.#at += Math.ceil(length / HALF) * HALF
    if (this.#at > size) this.#at %= size
    let digest = this.#digest
    const parts = []
    for (let done = 0; done < length; done += HALF) {
      const id = done === 0 ? this.#word(this.#id, 4) : Buffer.alloc(0)
      digest = sha1(id, digest, counters, this.#read(at, HALF, size))
      at = this.#write(at, digest.subarray(0, HALF), size)
      parts.push(digest.subarray(HALF))
    }
    this.#digest = sha1(counters, digest, this.#digest)
    return Buffer.concat(parts, Math.ceil(length / HALF) * HALF).subarray(0, length)
  }

  /** A number of that many bits, or of fewer. */
  number(bits) {
    this.add(this.#long) // the time
    const bytes = this.take(Math.ceil(bits / 8))
    return toNumber(bytes) & ((1n << BigInt(bits)) - 1n)
  }

  /** A number below `limit`. */
  below(limit) {
    const bits = lengthOf(limit)
    const tight = limit >> BigInt(bits - 3) === 4n // 100…: one bit more is taken, and up to two limits taken off
    for (;;) {
      let found = this.number(tight ? bits + 1 : bits)
      for (let i = 0; i < 2 && tight; i++) if (found >= limit) found -= limit
      if (found < limit) return found
    }
  }

  #read(at, length, size) {
    const bytes = Buffer.alloc(length)
    for (let i = 0; i < length; i++) bytes[i] = this.#pool[(at + i) % size]
    return bytes
  }

  #write(at, bytes, size) {
    let next = at
    for (const byte of bytes) {
      this.#pool[next++] ^= byte
      if (next >= size) next = 0
    }
    return next
  }

  #counters(taken, added) {
    return Buffer.concat([this.#word(taken, this.#long), this.#word(added, this.#long)])
  }

  #word(value, size) {
    const bytes = Buffer.alloc(size)
    if (this.#big) bytes.writeUIntBE(value, size - 4, 4)
    else bytes.writeUIntLE(value, 0, 4)
    return bytes
  }
}

/** OpenSSL's table, without 2; and products of four that fit in 64 bits, to divide by. */
const primes = []
for (let n = 3; primes.length < 2047; n += 2) if (primes.every(prime => n % prime !== 0)) primes.push(n)
const groups = []
for (let i = 0; i < primes.length; i += 4) {
  const members = primes.slice(i, i + 4).map(BigInt)
  groups.push({ members, product: members.reduce((product, prime) => product * prime) })
}
const remainders = n => groups.flatMap(({ members, product }) => members.map(prime => Number((n % product) % prime)))

/** Miller-Rabin: each round takes a base from the generator; a composite falls in the first. */
function isPrime(generator, n, rounds) {
  generator.below(n - 1n)
  if (!checkPrimeSync(n, { checks: 1 })) return false
  for (let round = 1; round < rounds; round++) generator.below(n - 1n)
  return true
}

function primeOf(generator, bits) {
  // BN_prime_checks_for_size, down to 450 bits.
  const rounds = [1300, 850, 650, 550].findIndex(least => bits >= least)
  for (;;) {
    let candidate = generator.number(bits) | (3n << BigInt(bits - 2)) | 1n
    const rests = remainders(candidate)
    let step = 0
    while (primes.some((prime, i) => (rests[i] + step) % prime <= 1)) step += 2
    candidate += BigInt(step)
    if (isPrime(generator, candidate, rounds < 0 ? 6 : rounds + 2)) return candidate
  }
}

/** The modulus. The exponent has no influence: candidates p where p - 1 has small factors are passed over. */
function rsaKey(generator, bits) {
  const p = primeOf(generator, Math.ceil(bits / 2))
  for (;;) {
    const q = primeOf(generator, Math.floor(bits / 2))
    if (q !== p) return { e: 35n, n: p * q }
  }
}

/** FIPS 186, appendix 2.2, then a secret below q. */
function dsaKey(generator, bits) {
  for (;;) {
    let seed = generator.take(DIGEST)
    const next = () => {
      seed = Buffer.from(((toNumber(seed) + 1n) & ((1n << 160n) - 1n)).toString(16).padStart(40, '0'), 'hex')
      return toNumber(sha1(seed))
    }
    const q = (toNumber(sha1(seed)) ^ next()) | (1n << 159n) | 1n
    if (remainders(q).includes(0) || !isPrime(generator, q, 50)) continue
    for (let tries = 0; tries < 4096; tries++) {
      let w = 0n
      for (let i = 0; i <= Math.floor((bits - 1) / 160); i++) w += next() << BigInt(160 * i)
      const top = 1n << BigInt(bits - 1)
      const x = (w & (top - 1n)) + top
      const p = x - (x % (2n * q)) + 1n
      if (p < top || remainders(p).includes(0) || !isPrime(generator, p, 50)) continue
      const g = modPow(2n, (p - 1n) / q, p)
      return { p, q, g, y: modPow(g, generator.below(q), p) }
    }
  }
}

const kinds = {
  rsa: { name: 'ssh-rsa', make: rsaKey, part: 'n' },
  dsa: { name: 'ssh-dss', make: dsaKey, part: 'y' },
}

function lineOf(type, bits, build, id) {
  const { name, make } = kinds[type]
  const fields = [Buffer.from(name), ...Object.values(make(new Generator(builds[build], id), bits)).map(toMpint)]
  const blob = Buffer.concat(fields.flatMap(field => [Buffer.from(hex(field.length, 8), 'hex'), field]))
  return `${name} ${blob.toString('base64')} ${build}-${id}`
}

/** Sorted: the first 40 bits of SHA-256 of the part by which keys are told apart. */
function entriesOf(type, bits, buildNames) {
  const { make, part } = kinds[type]
  const entries = new Set()
  for (const build of buildNames) {
    for (let id = 1; id <= LAST_ID; id++) {
      const value = make(new Generator(builds[build], id), bits)[part]
      const digest = createHash('sha256')
        .update(Buffer.from(evenHex(value), 'hex'))
        .digest()
      entries.add(digest.readUIntBE(0, 5))
      if (id % 1000 === 0) console.log(`${type} ${bits} ${build}: ${id} of ${LAST_ID}`)
    }
  }
  return [...entries].sort((a, b) => a - b)
}

/** The module, packed as src/check/debian.ts says. */
export function moduleOf(title, entries) {
  const lows = Buffer.alloc(3 * entries.length)
  const highs = Buffer.alloc(Math.ceil((entries.length + 2 ** 16) / 8))
  for (const [i, entry] of entries.entries()) {
    lows.writeUIntBE(entry % 2 ** 24, 3 * i, 3)
    // Before it stand as many ones as there are smaller entries, and as many zeros as there are smaller beginnings.
    const at = i + Math.floor(entry / 2 ** 24)
    highs[at >> 3] |= 0x80 >> (at & 7)
  }
  return `import type { DebianList } from './debian.js'

/** ${title}. Made by scripts/debian-lists.mjs. */
export const list: DebianList = {
  count: ${entries.length},
  highs:
    '${highs.toString('base64')}',
  lows: '${lows.toString('base64')}',
}
`
}

function sha1(...parts) {
  const hash = createHash('sha1')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

function modPow(base, exponent, modulus) {
  let result = 1n
  for (const bit of exponent.toString(2)) {
    result = (result * result) % modulus
    if (bit === '1') result = (result * base) % modulus
  }
  return result
}

function toNumber(bytes) {
  return BigInt(`0x${bytes.toString('hex')}`)
}

function lengthOf(number) {
  return number.toString(2).length
}

function hex(number, digits) {
  return number.toString(16).padStart(digits, '0')
}

function evenHex(number) {
  return hex(number, Math.ceil(number.toString(16).length / 2) * 2)
}

function toMpint(number) {
  const digits = evenHex(number)
  return Buffer.from(digits >= '8' ? `00${digits}` : digits, 'hex')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [type, bits, build, id] = process.argv.slice(2)
  if (type) console.log(lineOf(type, Number(bits), build, Number(id)))
  else {
    for (const [listed, size] of [
      ['rsa', 2048],
      ['dsa', 1024],
    ]) {
      const names = ['i386', 'amd64']
      const title = `${listed.toUpperCase()} keys of ${size} bits (${names.join(', ')})`
      const path = new URL(`../packages/keygen/src/check/debian-${listed}-${size}.ts`, import.meta.url)
      writeFileSync(path, moduleOf(title, entriesOf(listed, size, names)))
    }
  }
}
