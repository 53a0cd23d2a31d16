import { createPrivateKey, createPublicKey, generateKeyPair, sign, verify } from 'node:crypto'
import { promisify } from 'node:util'
import { integer, sequence } from '../der.js'
import { KeytoolError } from '../error.js'
import { mpint, struct } from '../fields.js'
import { bitLength } from '../wire.js'
import type { Algorithm } from './algorithm.js'

type Public = { e: Buffer; n: Buffer }
type Private = { d: Buffer; iqmp: Buffer; p: Buffer; q: Buffer }

/** What OpenSSH reads at the most and at the least (SSHBUF_MAX_BIGNUM, SSH_RSA_MINIMUM_MODULUS_SIZE). */
const SIZES = { min: 1024, max: 16384 }
/** OpenSSL refuses larger exponents for large moduli; no real key has one. */
const MAX_EXPONENT_BITS = 64

/** RSA, RFC 4253 section 6.6 and RFC 8332. */
export const rsa: Algorithm<Public, Private> = {
  name: 'ssh-rsa',
  type: 'rsa',
  label: 'RSA',
  publicFields: struct({ e: mpint, n: mpint }),
  privateFields: struct({ n: mpint, e: mpint, d: mpint, iqmp: mpint, p: mpint, q: mpint }),
  ppkFields: struct({ d: mpint, p: mpint, q: mpint, iqmp: mpint }),
  schemes: [
    { name: 'rsa-sha2-512', hash: 'sha512' },
    { name: 'rsa-sha2-256', hash: 'sha256' },
    { name: 'ssh-rsa', hash: 'sha1' },
  ],
  sizes: { min: 2048, max: SIZES.max, default: 3072 },

  bits: ({ n }) => bitLength(n),
  checkPublic({ e, n }) {
    const size = bitLength(n)
    if (size < SIZES.min || size > SIZES.max) {
      throw new KeytoolError('unsupported', `an RSA key of ${size} bits is outside ${SIZES.min} to ${SIZES.max}`)
    }
    if (isEven(n) || isEven(e) || bitLength(e) < 2 || bitLength(e) > MAX_EXPONENT_BITS) {
      throw new KeytoolError('damaged', 'the RSA modulus or exponent can be no key')
    }
  },
  checkPrivate(key) {
    const [e, n, d, iqmp, p, q] = [key.e, key.n, key.d, key.iqmp, key.p, key.q].map(number) as Six
    // Order matters: p and q are used as divisors only once their product is known to be n.
    if (p <= 1n || q <= 1n || p * q !== n) throw contradiction('p times q is not n')
    if (d >= n || (e * d) % (p - 1n) !== 1n || (e * d) % (q - 1n) !== 1n) throw contradiction('d does not undo e')
    if (iqmp >= p || (iqmp * q) % p !== 1n) throw contradiction('iqmp is not the inverse of q')
    // All that holds for factors that are no primes, too; then what the key signs does not verify.
    const probe = Buffer.from('probe')
    const signature = sign('sha256', probe, rsa.privateObject(key))
    if (!verify('sha256', probe, rsa.publicObject(key), signature)) throw contradiction('what it signs does not verify')
  },
  async generate(bits = 3072) {
    const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: bits })
    const jwk = privateKey.export({ format: 'jwk' })
    const part = (name: 'e' | 'n' | 'd' | 'qi' | 'p' | 'q') => Buffer.from(String(jwk[name]), 'base64url')
    return { e: part('e'), n: part('n'), d: part('d'), iqmp: part('qi'), p: part('p'), q: part('q') }
  },
  publicObject: ({ e, n }) => createPublicKey({ key: sequence(integer(n), integer(e)), format: 'der', type: 'pkcs1' }),
  privateObject(key) {
    const d = number(key.d)
    const exponent = (prime: Buffer) => bytes(d % (number(prime) - 1n))
    const { n, e, p, q, iqmp } = key
    const version = integer(Buffer.of(0))
    // RFC 8017 appendix A.1.2.
    const der = sequence(version, ...[n, e, key.d, p, q, exponent(p), exponent(q), iqmp].map(part => integer(part)))
    try {
      return createPrivateKey({ key: der, format: 'der', type: 'pkcs1' })
    } finally {
      der.fill(0)
    }
  },
}

type Six = [bigint, bigint, bigint, bigint, bigint, bigint]

function number(value: Buffer): bigint {
  return value.length === 0 ? 0n : BigInt(`0x${value.toString('hex')}`)
}

function bytes(value: bigint): Buffer {
  const hex = value.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
}

function isEven(value: Buffer): boolean {
  return ((value.at(-1) ?? 0) & 1) === 0
}

function contradiction(what: string): KeytoolError {
  return new KeytoolError('damaged', `the RSA key contradicts itself: ${what}`)
}
