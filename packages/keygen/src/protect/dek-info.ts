import { createHash, randomBytes } from 'node:crypto'
import { KeytoolError } from '../error.js'
import { type Cipher, cipherNamed } from './ciphers.js'
import { decryptPadded, encryptPadded, singleDes } from './pbe-cbc.js'

/** One way a traditional PEM file is encrypted: OpenSSL's name of the cipher in the header, and the cipher. */
interface DekCipher {
  readonly header: string
  readonly cipher: () => Cipher
}

/** Those that are written, in OpenSSH's spelling; the first is what ssh-keygen writes. */
export const dekCiphers: readonly string[] = ['aes128-cbc', 'aes192-cbc', 'aes256-cbc', '3des-cbc']

const rows: readonly DekCipher[] = [
  { header: 'AES-128-CBC', cipher: () => cipherNamed('aes128-cbc') },
  { header: 'AES-192-CBC', cipher: () => cipherNamed('aes192-cbc') },
  { header: 'AES-256-CBC', cipher: () => cipherNamed('aes256-cbc') },
  { header: 'DES-EDE3-CBC', cipher: () => cipherNamed('3des-cbc') },
  { header: 'DES-CBC', cipher: singleDes },
]

/** RFC 1421 section 4.6.1.1, in OpenSSL's one spelling of it. */
const ENCRYPTED = 'Proc-Type: 4,ENCRYPTED'
const DEK_INFO = 'DEK-Info: '
/** Of the salt, which is the beginning of the IV. In bytes. */
const SALT = 8

/** How one file is encrypted. */
export interface DekInfo {
  readonly cipher: Cipher
  readonly iv: Buffer
}

/**
 * The header lines of an encrypted file; none of one that is not.
 * @throws KeytoolError `damaged` for lines that are not these two, `unsupported` for a cipher node does not have
 */
export function readDekInfo(headers: readonly string[]): DekInfo | undefined {
  if (headers.length === 0) return undefined
  const [type, info = ''] = headers
  if (headers.length !== 2 || type !== ENCRYPTED || !info.startsWith(DEK_INFO)) {
    throw new KeytoolError('damaged', 'the header lines of the key are not those of an encrypted one')
  }
  const [name = '', hex = '', ...more] = info.slice(DEK_INFO.length).split(',')
  const row = rows.find(({ header }) => header === name)
  if (!row) {
    throw new KeytoolError('unsupported', `the cipher ${JSON.stringify(name.slice(0, 64))} is not supported`, {
      hint: 'openssl rsa (or dsa, ec) -provider legacy -provider default -in FILE -aes128 writes it with another',
    })
  }
  const cipher = row.cipher()
  // OpenSSL writes capitals, Go small letters; no program mixes them.
  if (more.length > 0 || hex.length !== 2 * cipher.iv || !/^([0-9A-F]*|[0-9a-f]*)$/.test(hex)) {
    throw new KeytoolError('damaged', `the IV in the header is not ${cipher.iv} bytes in hex`)
  }
  return { cipher, iv: Buffer.from(hex, 'hex') }
}

/**
 * A fresh IV for a cipher of {@link dekCiphers}, and the header lines that tell of it. Throws `unsupported` for another.
 */
export function makeDekInfo(name: string = 'aes128-cbc'): DekInfo & { headers: readonly string[] } {
  const row = rows.find(({ cipher }) => cipher().name === name && dekCiphers.includes(name))
  if (!row) {
    throw new KeytoolError('unsupported', `PEM files can't be encrypted with ${JSON.stringify(name.slice(0, 64))}`, {
      hint: `one of: ${dekCiphers.join(', ')}`,
    })
  }
  const cipher = row.cipher()
  const iv = randomIv(cipher.iv)
  return { cipher, iv, headers: [ENCRYPTED, `${DEK_INFO}${row.header},${toHex(iv)}`] }
}

/** Encrypts a file's content. */
export function encryptDek({ cipher, iv }: DekInfo, passphrase: Uint8Array, plain: Buffer): Buffer {
  const key = deriveKey(passphrase, iv, cipher)
  try {
    return encryptPadded(cipher, key, iv, plain)
  } finally {
    key.fill(0)
  }
}

/** The reverse; the caller wipes it. Throws `damaged` or `secret-wrong`. */
export function decryptDek({ cipher, iv }: DekInfo, passphrase: Uint8Array, sealed: Buffer): Buffer {
  const key = deriveKey(passphrase, iv, cipher)
  try {
    return decryptPadded(cipher, key, iv, sealed)
  } finally {
    key.fill(0)
  }
}

/** EVP_BytesToKey(3) with MD5 and one iteration: each digest is of the one before, the passphrase, the salt. */
function deriveKey(passphrase: Uint8Array, iv: Buffer, cipher: Cipher): Buffer {
  const key = Buffer.alloc(cipher.name === 'des-cbc' ? 8 : cipher.key)
  let digest = Buffer.alloc(0)
  for (let at = 0; at < key.length; at += digest.length) {
    const next = createHash('md5').update(digest).update(passphrase).update(iv.subarray(0, SALT)).digest()
    digest.fill(0)
    digest = next
    digest.copy(key, at)
  }
  digest.fill(0)
  return key
}

/**
 * An IV whose hex has two letters at least: if one of them is turned from capital to small, the two disagree and the
 * damage shows.
 */
function randomIv(size: number): Buffer {
  for (;;) {
    const iv = randomBytes(size)
    if ((toHex(iv).match(/[A-F]/g)?.length ?? 0) >= 2) return iv
  }
}

function toHex(bytes: Buffer): string {
  return bytes.toString('hex').toUpperCase()
}
