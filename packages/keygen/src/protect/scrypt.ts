import { scrypt as nodeScrypt, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { count, octetString, oid, sequence } from '../der.js'
import type { DerReader } from '../der-reader.js'
import { KeytoolError } from '../error.js'
import type { KdfFacts } from '../formats/format.js'
import { checkScrypt } from './caps.js'
import type { PbeKdf } from './pbe.js'

/** RFC 7914 section 2: N, r and p. */
export interface ScryptParameters {
  /** N: a power of two. */
  readonly cost: number
  /** r: blocks of 128 bytes. */
  readonly blockSize: number
  /** p. */
  readonly parallelism: number
}

/** id-scrypt, RFC 7914 section 7: its encoded content in hex. */
export const SCRYPT = '2b06010401da47040b'
/** What `openssl` opens without being told to allow more memory is 16 MiB; OWASP's advice is to take five lanes then. */
const DEFAULTS: ScryptParameters = { cost: 1 << 14, blockSize: 8, parallelism: 5 }
/** In bytes. */
const SALT = { fresh: 16, max: 1024 }

/** scrypt-params, RFC 7914 section 7. Throws `damaged`. */
export function readScrypt(fields: DerReader): PbeKdf {
  const start = fields.offset
  const salt = fields.octetString()
  const parameters = { cost: fields.number(), blockSize: fields.number(), parallelism: fields.number() }
  const length = fields.left > 0 ? fields.number() : undefined
  fields.end()
  if (salt.length > SALT.max) throw new KeytoolError('damaged', 'the salt is too long', { offset: start })
  return kdfOf(salt, parameters, length)
}

/** A fresh salt, and what is written in the file about it. */
export function makeScrypt(): { kdf: PbeKdf; identifier: Buffer } {
  const salt = randomBytes(SALT.fresh)
  const numbers = [DEFAULTS.cost, DEFAULTS.blockSize, DEFAULTS.parallelism].map(count)
  return {
    kdf: kdfOf(salt, DEFAULTS, undefined),
    identifier: sequence(oid(SCRYPT), sequence(octetString(salt), ...numbers)),
  }
}

function kdfOf(salt: Buffer, parameters: ScryptParameters, length: number | undefined): PbeKdf {
  const { cost, blockSize, parallelism } = parameters
  const facts: KdfFacts = { name: 'scrypt', memory: Math.ceil((cost * blockSize) / 8), parallelism }
  return {
    facts,
    length,
    check: limits => checkScrypt(parameters, limits),
    derive: (passphrase, size) => derive(passphrase, salt, parameters, size),
  }
}

/** In node's threadpool. */
async function derive(
  passphrase: Uint8Array,
  salt: Buffer,
  { cost, blockSize, parallelism }: ScryptParameters,
  size: number,
): Promise<Buffer> {
  const options = { N: cost, r: blockSize, p: parallelism, maxmem: 128 * blockSize * (cost + parallelism + 2) + 1024 }
  try {
    const run = promisify<Uint8Array, Buffer, number, typeof options, Buffer>(nodeScrypt)
    return await run(passphrase, salt, size, options)
  } catch (cause) {
    throw new KeytoolError('failed', "the key can't be opened or written: scrypt failed", {
      reason: `it needs ${Math.ceil((cost * blockSize) / 8192)} MiB of memory`,
      cause,
    })
  }
}
