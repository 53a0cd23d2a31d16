import { type CipherGCMTypes, createCipheriv, createDecipheriv } from 'node:crypto'
import { KeytoolError } from '../error.js'

/** One row a cipher, under OpenSSH's name. Sizes in bytes. */
export interface Cipher {
  readonly name: string
  /** OpenSSL's name. */
  readonly openssl: string
  readonly key: number
  readonly iv: number
  readonly block: number
  /** Length of the authentication tag that follows the ciphertext; 0 where there is none. */
  readonly tag: number
}

/** What OpenSSH encrypts private keys with, save chacha20-poly1305. */
export const ciphers: readonly Cipher[] = [
  ...[128, 192, 256].flatMap(bits => [
    { name: `aes${bits}-ctr`, openssl: `aes-${bits}-ctr`, key: bits / 8, iv: 16, block: 16, tag: 0 },
    { name: `aes${bits}-cbc`, openssl: `aes-${bits}-cbc`, key: bits / 8, iv: 16, block: 16, tag: 0 },
  ]),
  ...[128, 256].map(bits => ({
    name: `aes${bits}-gcm@openssh.com`,
    openssl: `aes-${bits}-gcm`,
    key: bits / 8,
    iv: 12,
    block: 16,
    tag: 16,
  })),
  { name: '3des-cbc', openssl: 'des-ede3-cbc', key: 24, iv: 8, block: 8, tag: 0 },
]

/** The row with this name. Throws `unsupported`. */
export function cipherNamed(name: string): Cipher {
  const row = ciphers.find(cipher => cipher.name === name)
  if (!row) throw new KeytoolError('unsupported', `the cipher ${JSON.stringify(name.slice(0, 64))} is not supported`)
  return row
}

/** @param secret key, then IV; @returns ciphertext, then tag. `plain` must fill whole blocks. */
export function encrypt(cipher: Cipher, secret: Buffer, plain: Uint8Array): Buffer {
  const { key, iv } = split(cipher, secret)
  if (cipher.tag > 0) {
    const sealing = createCipheriv(cipher.openssl as CipherGCMTypes, key, iv)
    return Buffer.concat([sealing.update(plain), sealing.final(), sealing.getAuthTag()])
  }
  const sealing = createCipheriv(cipher.openssl, key, iv).setAutoPadding(false)
  return Buffer.concat([sealing.update(plain), sealing.final()])
}

/**
 * The reverse of {@link encrypt}.
 * @throws KeytoolError `damaged` for a length that is no whole number of blocks, `secret-wrong` for a tag that does not fit
 */
export function decrypt(cipher: Cipher, secret: Buffer, sealed: Uint8Array): Buffer {
  const length = sealed.length - cipher.tag
  if (length < 0 || length % cipher.block !== 0) {
    throw new KeytoolError('damaged', `the encrypted part is not a whole number of ${cipher.block}-byte blocks`)
  }
  const { key, iv } = split(cipher, secret)
  if (cipher.tag > 0) {
    const opening = createDecipheriv(cipher.openssl as CipherGCMTypes, key, iv, { authTagLength: cipher.tag })
    opening.setAuthTag(sealed.subarray(length))
    const plain = opening.update(sealed.subarray(0, length))
    try {
      opening.final()
    } catch (cause) {
      throw new KeytoolError('secret-wrong', 'wrong passphrase', { cause })
    }
    return plain
  }
  const opening = createDecipheriv(cipher.openssl, key, iv).setAutoPadding(false)
  return Buffer.concat([opening.update(sealed), opening.final()])
}

function split(cipher: Cipher, secret: Buffer): { key: Buffer; iv: Buffer } {
  return { key: secret.subarray(0, cipher.key), iv: secret.subarray(cipher.key, cipher.key + cipher.iv) }
}
