import { pbkdf2, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { count, nothing, octetString, oid, sequence } from '../der.js'
import { type DerReader, tags } from '../der-reader.js'
import { KeytoolError } from '../error.js'
import { checkPbkdf2, defaultLimits } from './caps.js'
import type { PbeKdf } from './pbe.js'

/** id-PBKDF2, RFC 8018 appendix A.2: its encoded content in hex. */
export const PBKDF2 = '2a864886f70d01050c'
/** The HMACs of RFC 8018 appendix B.1.2, by node's name of their hash. */
const hashes: ReadonlyMap<string, string> = new Map([
  ['2a864886f70d0207', 'sha1'],
  ['2a864886f70d0208', 'sha224'],
  ['2a864886f70d0209', 'sha256'],
  ['2a864886f70d020a', 'sha384'],
  ['2a864886f70d020b', 'sha512'],
])
/** What an absent HMAC means. */
const ABSENT = 'sha1'
/** What files are written with: OWASP's advice for this HMAC. */
const FRESH = { oid: '2a864886f70d0209', hash: 'sha256', iterations: 600_000, salt: 16 }
/** In bytes. */
const MAX_SALT = 1024

/** PBKDF2-params, RFC 8018 appendix A.2. Throws `damaged` or `unsupported`. */
export function readPbkdf2(fields: DerReader): PbeKdf {
  const start = fields.offset
  const salt = fields.octetString()
  const iterations = fields.number()
  const length = fields.peek() === tags.integer ? fields.number() : undefined
  const hash = fields.left > 0 ? readHash(fields.sequence()) : ABSENT
  fields.end()
  if (salt.length > MAX_SALT) throw new KeytoolError('damaged', 'the salt is too long', { offset: start })
  return kdfOf(salt, iterations, hash, length)
}

/**
 * A fresh salt, and what is written in the file about it. Throws `usage`.
 * @param iterations 1 to 2^26. Default: 600 000, some 0.2 s
 */
export function makePbkdf2(iterations: number = FRESH.iterations): { kdf: PbeKdf; identifier: Buffer } {
  if (!Number.isInteger(iterations) || iterations < 1 || iterations > defaultLimits.pbkdf2Iterations) {
    throw new KeytoolError('usage', `PBKDF2 takes 1 to ${defaultLimits.pbkdf2Iterations} rounds`, {
      hint: `${FRESH.iterations} is a good number`,
    })
  }
  const salt = randomBytes(FRESH.salt)
  // As OpenSSL writes it: no length, which the cipher tells, and the HMAC although some leave it out.
  const parameters = sequence(octetString(salt), count(iterations), sequence(oid(FRESH.oid), nothing()))
  return { kdf: kdfOf(salt, iterations, FRESH.hash, undefined), identifier: sequence(oid(PBKDF2), parameters) }
}

function kdfOf(salt: Buffer, iterations: number, hash: string, length: number | undefined): PbeKdf {
  return {
    facts: { name: `pbkdf2-${hash}`, rounds: iterations },
    length,
    check: limits => checkPbkdf2(iterations, limits),
    // In node's threadpool.
    derive: (passphrase, size) => promisify(pbkdf2)(passphrase, salt, iterations, size, hash),
  }
}

function readHash(fields: DerReader): string {
  const hash = hashes.get(fields.oid())
  if (hash === undefined) throw new KeytoolError('unsupported', 'the hash of its PBKDF2 is not supported')
  if (fields.left > 0) fields.null()
  fields.end()
  return hash
}
