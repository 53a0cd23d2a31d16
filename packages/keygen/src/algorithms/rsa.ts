import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { checkPrimes } from '../check/prime.js'
import { KeytoolError } from '../error.js'
import { type Field, mpint, struct } from '../fields.js'
import { inverse, toBigInt, toBytes } from '../number.js'
import { bitLength, stripZeros } from '../wire.js'
import type { Algorithm } from './algorithm.js'
import { privateObject, publicObject } from './asn1/objects.js'
import { rsaAsn1 } from './asn1/rsa.js'
import { both } from './both.js'
import { rsaJwk } from './jwk/rsa.js'
import { signInThread, verifyByNode } from './node-signing.js'

export type RsaPublic = { e: Buffer; n: Buffer }
export type RsaPrivate = { d: Buffer; iqmp: Buffer; p: Buffer; q: Buffer }

/** What OpenSSH reads at the most and at the least (SSHBUF_MAX_BIGNUM, SSH_RSA_MINIMUM_MODULUS_SIZE). */
const SIZES = { min: 1024, max: 16384 }
/** OpenSSL refuses larger exponents for large moduli; no real key has one. */
const MAX_EXPONENT_BITS = 64
/** Of the modulus' bits, what each factor has at the least: real ones have half. OpenSSL takes seconds with lopsided keys. */
const LEAST_SHARE = 3 / 8

const publicFields = struct({ e: mpint, n: mpint })
/** The same where the private parts follow. */
const modulusFirst = struct({ n: mpint, e: mpint })
const secretFields = struct({ d: mpint, iqmp: mpint, p: mpint, q: mpint })

/** RSA, RFC 4253 section 6.6 and RFC 8332. */
export const rsa: Algorithm<RsaPublic, RsaPrivate> = {
  name: 'ssh-rsa',
  type: 'rsa',
  label: 'RSA',
  publicFields,
  privateFields: both(modulusFirst, secretFields),
  secretFields,
  ppkFields: largerPrimeFirst(struct({ d: mpint, p: mpint, q: mpint, iqmp: mpint })),
  asn1: rsaAsn1,
  jwk: rsaJwk,
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
  verifier: key => verifyByNode(publicObject(rsaAsn1, key)),
  checkPrivate(key) {
    // Lengths first: what comes next takes time that grows faster than they do.
    if (key.p.length + key.q.length > key.n.length + 2) throw contradiction('p times q is not n')
    if (key.d.length > key.n.length || key.iqmp.length > key.n.length) throw contradiction('d does not undo e')
    const [e, n, d, iqmp, p, q] = [key.e, key.n, key.d, key.iqmp, key.p, key.q].map(toBigInt) as Six
    // Order matters: p and q are used as divisors only once their product is known to be n.
    if (p <= 1n || q <= 1n || p * q !== n) throw contradiction('p times q is not n')
    if (Math.min(bitLength(key.p), bitLength(key.q)) < bitLength(key.n) * LEAST_SHARE) {
      throw new KeytoolError('unsupported', 'an RSA key of which one factor is much shorter than the other')
    }
    if (d >= n || (e * d) % (p - 1n) !== 1n || (e * d) % (q - 1n) !== 1n) throw contradiction('d does not undo e')
    if (iqmp >= p || (iqmp * q) % p !== 1n) throw contradiction('iqmp is not the inverse of q')
  },
  // All that can be made to fit factors that are no primes.
  prove: ({ p, q }) => checkPrimes(p, q),
  async generate(bits = 3072) {
    const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: bits })
    const jwk = privateKey.export({ format: 'jwk' })
    const part = (name: 'e' | 'n' | 'd' | 'qi' | 'p' | 'q') => Buffer.from(String(jwk[name]), 'base64url')
    return { e: part('e'), n: part('n'), d: part('d'), iqmp: part('qi'), p: part('p'), q: part('q') }
  },
  slow: true,
  signer: key => signInThread(privateObject(rsaAsn1, key)),
  signsAlone: true,
}

/** PuTTY has the larger prime first. Files where it comes second exist: PuTTY turns them round, whatever their iqmp says. */
function largerPrimeFirst(fields: Field<RsaPrivate>): Field<RsaPrivate> {
  const turn = (key: RsaPrivate): RsaPrivate => {
    const [p, q] = [stripZeros(key.p), stripZeros(key.q)]
    const first = p.length - q.length || Buffer.compare(p, q)
    // Longer numbers are no key: they are refused when the key is made, and cost nothing here.
    if (first >= 0 || p.length + q.length > SIZES.max / 8 + 1) return key
    return { d: key.d, p: q, q: p, iqmp: toBytes(inverse(toBigInt(p), toBigInt(q))) }
  }
  return { read: r => turn(fields.read(r)), write: (w, key) => fields.write(w, turn(key)) }
}

type Six = [bigint, bigint, bigint, bigint, bigint, bigint]

function isEven(value: Buffer): boolean {
  return ((value.at(-1) ?? 0) & 1) === 0
}

function contradiction(what: string): KeytoolError {
  return new KeytoolError('damaged', `the RSA key contradicts itself: ${what}`)
}
