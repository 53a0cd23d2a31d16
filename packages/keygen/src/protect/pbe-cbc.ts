import { KeytoolError } from '../error.js'
import { type Cipher, cipherNamed, decrypt, encrypt } from './ciphers.js'

/** What to do about a file whose encryption is not supported. The old ciphers are in OpenSSL's legacy provider. */
export const REWRITE =
  'openssl pkcs8 -provider legacy -provider default -in FILE -topk8 -v2 aes-256-cbc writes it with another'

/**
 * Single DES, which OpenSSL 3 keeps in a provider that node does not load: triple DES does the same when its three keys
 * are one. For reading what is old.
 */
export function singleDes(): Cipher {
  return { ...cipherNamed('3des-cbc'), name: 'des-cbc' }
}

/** Fills up to whole blocks, at least one byte, each the number of them (RFC 8018 section 6.1.1), and encrypts. */
export function encryptPadded(cipher: Cipher, key: Buffer, iv: Buffer, plain: Buffer): Buffer {
  const missing = cipher.block - (plain.length % cipher.block)
  const padded = Buffer.concat([plain, Buffer.alloc(missing, missing)])
  const secret = secretOf(cipher, key, iv)
  try {
    return encrypt(cipher, secret, padded)
  } finally {
    padded.fill(0)
    secret.fill(0)
  }
}

/**
 * The reverse of {@link encryptPadded}; the caller wipes it.
 * @param key for triple DES also one of 8 or 16 bytes
 * @throws KeytoolError `damaged` for a length that can't be, else `secret-wrong`
 */
export function decryptPadded(cipher: Cipher, key: Buffer, iv: Buffer, sealed: Buffer): Buffer {
  if (sealed.length === 0) throw new KeytoolError('damaged', 'the encrypted part is empty')
  const padded = decryptOnce(cipher, secretOf(cipher, key, iv), sealed)
  const length = padded.at(-1) ?? 0
  const padding = padded.subarray(padded.length - length)
  if (length === 0 || length > cipher.block || padding.some(byte => byte !== length)) {
    padded.fill(0)
    throw nonsense()
  }
  return padded.subarray(0, padded.length - length)
}

/**
 * What decryption without a MAC gives when something is off: nobody can tell a wrong passphrase from a wrong bit.
 * @param cause what did not fit
 */
export function nonsense(cause?: unknown): KeytoolError {
  return new KeytoolError('secret-wrong', 'wrong passphrase', { reason: 'or the file was altered', cause })
}

function decryptOnce(cipher: Cipher, secret: Buffer, sealed: Buffer): Buffer {
  try {
    return decrypt(cipher, secret, sealed)
  } finally {
    secret.fill(0)
  }
}

/** Key, then IV. The keys of triple DES, where there are fewer than three, go round: K K K, or K1 K2 K1. */
function secretOf(cipher: Cipher, key: Buffer, iv: Buffer): Buffer {
  return Buffer.concat([Buffer.alloc(cipher.key, key), iv])
}
