import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { DerReader } from '../der-reader.js'
import { KeytoolError } from '../error.js'
import { checkOldKdf } from './caps.js'
import { type Cipher, cipherNamed } from './ciphers.js'
import type { Pbe } from './pbe.js'
import { decryptPadded, REWRITE, singleDes } from './pbe-cbc.js'
import { pkcs12Kdf } from './pbe-pkcs12.js'

/** What PBES1 and PKCS#12 derive at once. Both are views of bytes that the caller wipes. */
interface KeyAndIv {
  readonly key: Buffer
  readonly iv: Buffer
}

interface Scheme {
  /** How facts name it. */
  readonly kdf: string
  readonly cipher: () => Cipher
  derive(passphrase: Uint8Array, salt: Buffer, iterations: number): Promise<KeyAndIv>
}

/** PBES1, RFC 8018 appendix A.3, and PKCS#12's, RFC 7292 appendix C. By the identifier's encoded content in hex. */
const schemes: Readonly<Record<string, Scheme>> = {
  '2a864886f70d010503': { kdf: 'pbkdf1-md5', cipher: singleDes, derive: pbkdf1('md5') },
  '2a864886f70d01050a': { kdf: 'pbkdf1-sha1', cipher: singleDes, derive: pbkdf1('sha1') },
  '2a864886f70d010c0103': { kdf: 'pkcs12-sha1', cipher: () => cipherNamed('3des-cbc'), derive: pkcs12(24) },
  '2a864886f70d010c0104': { kdf: 'pkcs12-sha1', cipher: () => cipherNamed('3des-cbc'), derive: pkcs12(16) },
}

/** Their brothers whose hash or cipher node does not have. */
const missing: Readonly<Record<string, string>> = {
  '2a864886f70d010501': 'MD2',
  '2a864886f70d010504': 'MD2',
  '2a864886f70d010506': 'RC2',
  '2a864886f70d01050b': 'RC2',
  '2a864886f70d010c0101': 'RC4',
  '2a864886f70d010c0102': 'RC4',
  '2a864886f70d010c0105': 'RC2',
  '2a864886f70d010c0106': 'RC2',
}

/** In bytes. */
const MAX_SALT = 1024
/** Iterations between which other work gets its turn. */
const AT_ONCE = 2048

/**
 * PBEParameter, RFC 8018 appendix A.3; `undefined` when the identifier is none of these. Throws `damaged`, or
 * `unsupported` for those that take RC2, RC4 or MD2.
 */
export function readOldScheme(id: string, fields: DerReader): Pbe | undefined {
  const absent = missing[id]
  if (absent !== undefined) {
    throw new KeytoolError('unsupported', `the key is encrypted with the help of ${absent}, which is not supported`, {
      hint: REWRITE,
    })
  }
  const scheme = schemes[id]
  if (!scheme) return undefined
  const start = fields.offset
  const salt = fields.octetString()
  const iterations = fields.number()
  fields.end()
  if (salt.length > MAX_SALT) throw new KeytoolError('damaged', 'the salt is too long', { offset: start })
  const cipher = scheme.cipher()
  return {
    kdf: { name: scheme.kdf, rounds: iterations },
    cipher: cipher.name,
    check: limits => checkOldKdf(iterations, limits),
    async open(passphrase, sealed) {
      const { key, iv } = await scheme.derive(passphrase, salt, iterations)
      try {
        return decryptPadded(cipher, key, iv, sealed)
      } finally {
        key.fill(0)
      }
    },
  }
}

/** PBKDF1, RFC 8018 section 5.1: eight bytes of key, eight of IV. */
function pbkdf1(hash: 'md5' | 'sha1'): Scheme['derive'] {
  return async (passphrase, salt, iterations) => {
    const first = createHash(hash).update(passphrase).update(salt).digest()
    const derived = await hashAgain(hash, first, iterations - 1)
    return { key: derived.subarray(0, 8), iv: derived.subarray(8, 16) }
  }
}

/** @param size of the key in bytes */
function pkcs12(size: number): Scheme['derive'] {
  return async (passphrase, salt, iterations) => {
    const again = (digest: Buffer) => hashAgain('sha1', digest, iterations - 1)
    const key = await pkcs12Kdf(1, passphrase, salt, size, again)
    const iv = await pkcs12Kdf(2, passphrase, salt, 8, again)
    return { key, iv }
  }
}

/** The hash of the hash of the hash. Wipes what it passes through. */
async function hashAgain(hash: string, digest: Buffer, times: number): Promise<Buffer> {
  let current = digest
  for (let i = 0; i < times; i++) {
    if (i % AT_ONCE === AT_ONCE - 1) await setImmediate()
    const next = createHash(hash).update(current).digest()
    current.fill(0)
    current = next
  }
  return current
}
