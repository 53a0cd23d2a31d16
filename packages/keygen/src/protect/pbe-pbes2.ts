import { randomBytes } from 'node:crypto'
import { octetString, oid, sequence } from '../der.js'
import { type DerReader, dotted } from '../der-reader.js'
import { KeytoolError } from '../error.js'
import { type Cipher, cipherNamed } from './ciphers.js'
import type { Pbe, PbeKdf } from './pbe.js'
import { decryptPadded, encryptPadded, REWRITE, singleDes } from './pbe-cbc.js'
import { makePbkdf2, PBKDF2, readPbkdf2 } from './pbkdf2.js'
import { makeScrypt, readScrypt, SCRYPT } from './scrypt.js'

/** id-PBES2, RFC 8018 appendix A.4: its encoded content in hex. */
export const PBES2 = '2a864886f70d01050d'

/** Encryption schemes (RFC 8018 appendix B.2, RFC 3565) that are written, in OpenSSH's spelling, the default first. */
export const pbes2Ciphers: readonly string[] = ['aes256-cbc', 'aes192-cbc', 'aes128-cbc', '3des-cbc']
const oids: Readonly<Record<string, string>> = {
  'aes256-cbc': '60864801650304012a',
  'aes192-cbc': '608648016503040116',
  'aes128-cbc': '608648016503040102',
  '3des-cbc': '2a864886f70d0307',
}
/** desCBC of RFC 8018 appendix B.2.1: read only. */
const SINGLE_DES = '2b0e030207'

/** PBES2-params, RFC 8018 appendix A.4. Throws `damaged` or `unsupported`. */
export function readPbes2(parameters: DerReader): Pbe {
  const kdf = readKdf(parameters.sequence())
  const { cipher, size, iv } = readScheme(parameters.sequence())
  parameters.end()
  if (kdf.length !== undefined && kdf.length !== size) {
    throw new KeytoolError('damaged', `the KDF is to give ${kdf.length} bytes, the cipher takes ${size}`)
  }
  return {
    kdf: kdf.facts,
    cipher: cipher.name,
    check: limits => kdf.check(limits),
    async open(passphrase, sealed) {
      const key = await kdf.derive(passphrase, size)
      try {
        return decryptPadded(cipher, key, iv, sealed)
      } finally {
        key.fill(0)
      }
    },
  }
}

export interface Pbes2Options {
  readonly cipher?: string | undefined
  readonly kdf?: 'pbkdf2' | 'scrypt' | undefined
  readonly rounds?: number | undefined
}

/**
 * Encrypts with fresh salt and IV. Rejects with `unsupported` for a cipher that is none of {@link pbes2Ciphers}, `usage`
 * for rounds out of range.
 * @returns the AlgorithmIdentifier, and what was encrypted
 */
export async function sealPbes2(
  plain: Buffer,
  passphrase: Uint8Array,
  { cipher: name = 'aes256-cbc', kdf: kind = 'pbkdf2', rounds }: Pbes2Options,
): Promise<{ identifier: Buffer; sealed: Buffer }> {
  const id = pbes2Ciphers.includes(name) ? oids[name] : undefined
  if (id === undefined) {
    throw new KeytoolError('unsupported', `PKCS#8 files can't be encrypted with ${JSON.stringify(name.slice(0, 64))}`, {
      hint: `one of: ${pbes2Ciphers.join(', ')}`,
    })
  }
  if (kind === 'scrypt' && rounds !== undefined) {
    throw new KeytoolError('usage', 'scrypt has no rounds', { hint: 'leave them out, or take pbkdf2' })
  }
  const cipher = cipherNamed(name)
  const { kdf, identifier: kdfIdentifier } = kind === 'scrypt' ? makeScrypt() : makePbkdf2(rounds)
  const iv = randomBytes(cipher.iv)
  const key = await kdf.derive(passphrase, cipher.key)
  try {
    const scheme = sequence(oid(id), octetString(iv))
    return {
      identifier: sequence(oid(PBES2), sequence(kdfIdentifier, scheme)),
      sealed: encryptPadded(cipher, key, iv, plain),
    }
  } finally {
    key.fill(0)
  }
}

function readKdf(fields: DerReader): PbeKdf {
  const id = fields.oid()
  const read = { [PBKDF2]: readPbkdf2, [SCRYPT]: readScrypt }[id]
  if (!read) {
    throw new KeytoolError('unsupported', `the KDF of the key, ${dotted(id)}, is neither PBKDF2 nor scrypt`, {
      hint: REWRITE,
    })
  }
  const parameters = fields.sequence()
  fields.end()
  return read(parameters)
}

/** @returns `size` of the key that is derived, in bytes */
function readScheme(fields: DerReader): { cipher: Cipher; size: number; iv: Buffer } {
  const start = fields.offset
  const id = fields.oid()
  const name = pbes2Ciphers.find(row => oids[row] === id)
  if (name === undefined && id !== SINGLE_DES) {
    throw new KeytoolError('unsupported', `the cipher of the key, ${dotted(id)}, is not supported`, { hint: REWRITE })
  }
  const cipher = name === undefined ? singleDes() : cipherNamed(name)
  const iv = fields.octetString()
  fields.end()
  if (iv.length !== cipher.iv) {
    throw new KeytoolError('damaged', `the IV has ${iv.length} bytes instead of ${cipher.iv}`, { offset: start })
  }
  return { cipher, size: name === undefined ? 8 : cipher.key, iv }
}
