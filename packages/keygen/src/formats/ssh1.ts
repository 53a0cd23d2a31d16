import { createHash } from 'node:crypto'
import { damagedAt, KeytoolError } from '../error.js'
import { toBytes } from '../number.js'
import { bitLength, Reader } from '../wire.js'
import { decodeComment } from './comment.js'
import type { KeyFormat, PublicFormat } from './format.js'

const MAGIC = Buffer.from('SSH PRIVATE KEY FILE FORMAT 1.1\n\0', 'latin1')
/** Ciphers by their numbers in the file (SSH-1's `SSH_CIPHER_*`). */
const CIPHERS: ReadonlyMap<number, string> = new Map([
  [1, 'idea'],
  [2, 'des'],
  [3, '3des'],
  [5, 'rc4'],
  [6, 'blowfish'],
])
/** What SSH-1's tools take at the most; in bits. */
const MAX_BITS = 16384
/** The private part fills whole blocks of this many bytes, encrypted or not. */
const BLOCK = 8
/** As far as a public line is looked for: comments may stand before it. In bytes. */
const HEAD = 64 * 1024
/** Bits, exponent and modulus in decimal; 16384 bits have 4933 digits. */
const LINE = /^([1-9]\d{2,4}) ([1-9]\d{0,4932}) ([1-9]\d{99,4932})(?:[ \t]+(.*))?$/

/** What an SSH-1 key file shows. Its key is none of SSH-2's (RFC 4253), so that it has no blob and no `PublicKey`. */
export interface Ssh1Facts {
  readonly kind: 'private' | 'public'
  readonly format: 'ssh1'
  readonly type: 'rsa1'
  readonly bits: number
  readonly comment: string
  readonly encrypted: boolean
  readonly cipher?: string
  /** Of modulus and exponent, one after the other, as SSH-1 had them: `MD5:…`, `SHA256:…`. */
  readonly fingerprint: { readonly sha256: string; readonly md5: string }
}

/** Private keys of SSH-1, PuTTY's included: recognised, described, never used. */
export const ssh1: KeyFormat = {
  name: 'ssh1',
  title: 'SSH-1',
  ciphers: [],
  holds: () => false,
  keepsComment: true,
  detect: bytes => bytes.subarray(0, MAGIC.length).equals(MAGIC),
  async inspect(bytes) {
    const { format, type, comment, encrypted, cipher } = inspectPrivate(bytes)
    if (cipher === undefined) return { format, type, comment, encrypted }
    return { format, type, comment, encrypted, cipher, kdf: { name: 'md5' } }
  },
  async read(bytes) {
    inspectPrivate(bytes)
    throw refusal()
  },
}

/** Public keys of SSH-1, a line each. */
export const ssh1Public: PublicFormat = {
  name: 'ssh1',
  title: 'SSH-1',
  detect: looksLikePublicLine,
  async read(bytes) {
    inspectSsh1(bytes)
    throw refusal()
  },
}

/** Whether the bytes claim to be SSH-1's, private or public. Never throws. */
export function isSsh1(bytes: Buffer): boolean {
  return ssh1.detect(bytes) || looksLikePublicLine(bytes)
}

/** What an SSH-1 file shows: of the public lines the first. Throws `damaged`. */
export function inspectSsh1(bytes: Buffer): Ssh1Facts {
  return ssh1.detect(bytes) ? inspectPrivate(bytes) : inspectPublic(bytes)
}

function inspectPrivate(bytes: Buffer): Ssh1Facts {
  if (!ssh1.detect(bytes)) throw damagedAt('the file does not begin as an SSH-1 key does', 0)
  const reader = new Reader(bytes.subarray(MAGIC.length), MAGIC.length)
  const number = reader.byte()
  const cipher = CIPHERS.get(number)
  if (number !== 0 && cipher === undefined) {
    throw new KeytoolError('unsupported', `SSH-1 has no cipher ${number}`)
  }
  const reserved = reader.offset
  if (reader.uint32() !== 0) throw damagedAt('what is reserved is not zero', reserved)
  const bitsAt = reader.offset
  const bits = reader.uint32()
  const [n, e] = [readNumber(reader), readNumber(reader)]
  if (bitLength(n) !== bits) throw damagedAt('the key has another size than it claims', bitsAt)
  const comment = decodeComment(reader.string())
  const rest = reader.offset
  const secret = reader.rest()
  if (secret.length < BLOCK || secret.length % BLOCK !== 0) throw damagedAt('the private part is cut short', rest)
  // Two check bytes, twice (SSH-1's sign of the right passphrase).
  if (cipher === undefined && !secret.subarray(0, 2).equals(secret.subarray(2, 4))) {
    throw damagedAt('the check bytes of the private part differ', rest)
  }
  const facts = describe('private', n, e, comment, cipher !== undefined)
  return cipher === undefined ? facts : { ...facts, cipher }
}

function inspectPublic(bytes: Buffer): Ssh1Facts {
  const line = firstLine(bytes)
  const [, bits, e, n, comment = ''] = LINE.exec(line?.text ?? '') ?? []
  const offset = line?.offset ?? 0
  if (bits === undefined || e === undefined || n === undefined) throw damagedAt('a line is not a public key', offset)
  const modulus = toBytes(BigInt(n))
  if (bitLength(modulus) !== Number(bits)) throw damagedAt('the key has another size than it claims', offset)
  return describe('public', modulus, toBytes(BigInt(e)), decodeComment(Buffer.from(comment, 'latin1')), false)
}

function describe(kind: 'private' | 'public', n: Buffer, e: Buffer, comment: string, encrypted: boolean): Ssh1Facts {
  const digest = (hash: 'md5' | 'sha256') => createHash(hash).update(n).update(e).digest()
  return {
    kind,
    format: 'ssh1',
    type: 'rsa1',
    bits: bitLength(n),
    comment,
    encrypted,
    fingerprint: {
      sha256: `SHA256:${digest('sha256').toString('base64').replace(/=+$/, '')}`,
      md5: `MD5:${digest('md5')
        .toString('hex')
        .replace(/(..)(?!$)/g, '$1:')}`,
    },
  }
}

/** SSH-1's numbers: a uint16 of the length in bits, then the bytes. */
function readNumber(reader: Reader): Buffer {
  const offset = reader.offset
  const bits = reader.bytes(2).readUInt16BE()
  if (bits > MAX_BITS) throw damagedAt(`a number claims ${bits} bits`, offset)
  const bytes = reader.bytes(Math.ceil(bits / 8))
  if (bits === 0 || bitLength(bytes) !== bits) throw damagedAt('a number has another length than it claims', offset)
  return bytes
}

function looksLikePublicLine(bytes: Buffer): boolean {
  return LINE.test(firstLine(bytes)?.text ?? '')
}

/** The first line that is neither blank nor a comment. */
function firstLine(bytes: Buffer): { text: string; offset: number } | undefined {
  let offset = 0
  for (const line of bytes.toString('latin1', 0, HEAD).split('\n')) {
    const text = line.replace(/\r$/, '')
    if (!/^[ \t]*(?:#|$)/.test(text)) return { text, offset }
    offset += line.length + 1
  }
  return undefined
}

function refusal(): KeytoolError {
  return new KeytoolError('unsupported', 'keys of SSH-1 are only recognised, never used or converted', {
    reason: 'SSH-1 is broken, and no server should speak it any more',
    hint: 'make a new key: keytool gen',
  })
}
