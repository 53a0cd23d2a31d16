import { type CipherGCMTypes, createCipheriv } from 'node:crypto'
import { KeytoolError } from '../error.js'
import { openChachaPoly, sealChachaPoly } from './chacha-poly.js'
import { openCbc, openGcm, openStream } from './masked.js'

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
  /** Where node:crypto lacks the construction: what does it instead. */
  readonly own?: {
    /** Returns ciphertext, then tag. */
    seal(key: Buffer, plain: Uint8Array): Buffer
    /** `undefined` when the tag does not fit. */
    open(key: Buffer, sealed: Buffer): Buffer | undefined
  }
}

/** What OpenSSH encrypts private keys with. */
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
  {
    name: 'chacha20-poly1305@openssh.com',
    openssl: 'chacha20',
    key: 64,
    iv: 0,
    block: 8,
    tag: 16,
    own: { seal: sealChachaPoly, open: openChachaPoly },
  },
  { name: '3des-cbc', openssl: 'des-ede3-cbc', key: 24, iv: 8, block: 8, tag: 0 },
]

/** Other names in files for the same: OpenSSH took this one until 2020. */
const aliases: ReadonlyMap<string, string> = new Map([['rijndael-cbc@lysator.liu.se', 'aes256-cbc']])
/** What OpenSSH encrypted keys with on request before 7.6. */
const abandoned: ReadonlySet<string> = new Set(['arcfour', 'arcfour128', 'arcfour256', 'blowfish-cbc', 'cast128-cbc'])

/** The row with this name. Throws `unsupported`. */
export function cipherNamed(name: string): Cipher {
  const row = ciphers.find(cipher => cipher.name === name)
  if (!row) throw new KeytoolError('unsupported', `the cipher ${JSON.stringify(name.slice(0, 64))} is not supported`)
  return row
}

/** Whether {@link cipherOfFile} has a row for this name. */
export function isRead(name: string): boolean {
  return ciphers.some(cipher => cipher.name === (aliases.get(name) ?? name))
}

/** The row that a key file means, which may be an old one. Throws `unsupported`. */
export function cipherOfFile(name: string): Cipher {
  if (abandoned.has(name)) {
    throw new KeytoolError('unsupported', `the cipher "${name}" is not supported`, {
      reason: 'OpenSSH gave it up in version 7.6',
      hint: 'an ssh-keygen older than that can change it: ssh-keygen -p -o -Z aes256-cbc -f FILE',
    })
  }
  return cipherNamed(aliases.get(name) ?? name)
}

/** @param secret key, then IV; @returns ciphertext, then tag. `plain` must fill whole blocks. */
export function encrypt(cipher: Cipher, secret: Buffer, plain: Uint8Array): Buffer {
  const { key, iv } = split(cipher, secret)
  if (cipher.own) return cipher.own.seal(key, plain)
  if (cipher.tag > 0) {
    const sealing = createCipheriv(cipher.openssl as CipherGCMTypes, key, iv)
    return Buffer.concat([sealing.update(plain), sealing.final(), sealing.getAuthTag()])
  }
  const sealing = createCipheriv(cipher.openssl, key, iv).setAutoPadding(false)
  return Buffer.concat([sealing.update(plain), sealing.final()])
}

/**
 * The reverse of {@link encrypt}. The caller wipes what it returns.
 * @throws KeytoolError `damaged` for a length that is no whole number of blocks, `secret-wrong` for a tag that does not fit
 */
export function decrypt(cipher: Cipher, secret: Buffer, sealed: Uint8Array): Buffer {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
  const length = bytes.length - cipher.tag
  if (length < 0 || length % cipher.block !== 0) {
    throw new KeytoolError('damaged', `the encrypted part is not a whole number of ${cipher.block}-byte blocks`)
  }
  const { key, iv } = split(cipher, secret)
  if (cipher.own) {
    const plain = cipher.own.open(key, bytes)
    if (!plain) throw wrongTag()
    return plain
  }
  const body = bytes.subarray(0, length)
  if (cipher.tag > 0) {
    const plain = openGcm(cipher.openssl as CipherGCMTypes, key, iv, body, bytes.subarray(length))
    if (!plain) throw wrongTag()
    return plain
  }
  return cipher.openssl.endsWith('-ctr')
    ? openStream(cipher.openssl, key, iv, body)
    : openCbc(cipher.openssl, key, iv, body)
}

function wrongTag(): KeytoolError {
  return new KeytoolError('secret-wrong', 'wrong passphrase', { reason: 'or the file was altered' })
}

function split(cipher: Cipher, secret: Buffer): { key: Buffer; iv: Buffer } {
  return { key: secret.subarray(0, cipher.key), iv: secret.subarray(cipher.key, cipher.key + cipher.iv) }
}
