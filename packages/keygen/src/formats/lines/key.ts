import { damagedAt, isKeytoolError, KeytoolError } from '../../error.js'
import { PublicKey } from '../../key.js'
import { Reader } from '../../wire.js'
import { decodeBase64 } from '../armor.js'
import { decodeComment } from '../comment.js'
import { skipBlanks, type TextLine } from './text.js'

/** Far above every real key: a certificate by ML-DSA for 256 principals. In characters. */
const MAX_BASE64 = 256 * 1024
/** Of all else on a line: options, hosts, comment. In bytes. */
const MAX_WORDS = 16 * 1024
/** A type's name, then a blob: it begins with its own name's length, which is below 256. */
const KEY = /([A-Za-z0-9][A-Za-z0-9@._-]{0,127})[ \t]+(AAAA[^ \t]*)/y
/** Bits, exponent and modulus in decimal, as SSH-1 had its RSA keys. */
const SSH1 = /([1-9]\d{2,4})[ \t]+[1-9]\d*[ \t]+[1-9]\d{99,}(?=[ \t]|$)/y

/** OpenSSH takes a line whose key has the name of a signature by it. */
const signatureNames: ReadonlyMap<string, string> = new Map([
  ['rsa-sha2-256', 'ssh-rsa'],
  ['rsa-sha2-512', 'ssh-rsa'],
])

/** What stands where a line has its key. */
export interface KeyText {
  /** The name in front of the blob; `rsa1` for an SSH-1 key. */
  readonly type: string
  /** The blob in base64; empty for an SSH-1 key. */
  readonly base64: string
  readonly comment: string
  /** Of the base64 in its file. */
  readonly offset: number
}

export interface LineOptions {
  /** No more of a key than its blob: for whoever looks for one key among thousands. Checking a point takes its time. */
  readonly blobsOnly?: boolean
}

/** A line that has a key, or should. */
export interface KeyLine {
  /** Counted from 1. */
  readonly line: number
  /** As the line names it, whether it is in our table or not; `rsa1` for an SSH-1 key. Absent where there is none. */
  readonly type?: string
  /** The key's, whether we know its type or not. Absent where it can't be decoded, or is of a type other than the line says. */
  readonly blob?: Buffer
  /** Absent where there is an error, and with {@link LineOptions.blobsOnly}. */
  readonly key?: PublicKey
  /** `damaged` or `unsupported`: why there is no key. One such line does not spoil the others. */
  readonly error?: KeytoolError
  readonly comment: string
}

/** The key that begins at `at`, if one does. Nothing is decoded yet. */
export function findKey(line: TextLine, at: number): KeyText | undefined {
  const { text, offset } = line
  KEY.lastIndex = at
  const [whole, type, base64] = KEY.exec(text) ?? []
  if (whole !== undefined && type !== undefined && base64 !== undefined) {
    const end = at + whole.length
    return { type, base64, comment: commentAt(text, end), offset: offset + end - base64.length }
  }
  SSH1.lastIndex = at
  const [old] = SSH1.exec(text) ?? []
  if (old === undefined) return undefined
  return { type: 'rsa1', base64: '', comment: commentAt(text, at + old.length), offset: offset + at }
}

/** The type a blob names itself, whether it is in our table or not. */
export function typeOfBlob(blob: Uint8Array): string | undefined {
  try {
    return new Reader(blob).text(256)
  } catch {
    return undefined
  }
}

/** Throws `damaged`, `unsupported` for a type not in the table. */
export function decodeKey(found: KeyText): PublicKey {
  const { comment, offset } = found
  const blob = decodeBlob(found)
  if (comment.length > MAX_WORDS) throw tooLong(offset)
  return PublicKey.fromBlob(blob, comment)
}

function decodeBlob({ type, base64, offset }: KeyText): Buffer {
  if (type === 'rsa1') {
    throw new KeytoolError('unsupported', 'keys of SSH-1 are not supported', {
      reason: 'SSH-1 is broken, and no server should speak it any more',
      offset,
    })
  }
  if (base64.length > MAX_BASE64) throw tooLong(offset)
  // OpenSSH passes over white space of every kind in base64.
  const blob = decodeBase64(base64.replace(/[\v\f]/g, ' '), offset)
  // First of all, so that a damaged name is not taken for a type of the future.
  if (typeOfBlob(blob) !== (signatureNames.get(type) ?? type)) {
    throw damagedAt('a line names another type than its key has', offset)
  }
  return blob
}

/** The line's key, or why there is none. */
export function readKeyLine(
  line: TextLine,
  found: KeyText | undefined,
  { blobsOnly = false }: LineOptions = {},
): KeyLine {
  if (!found) return lineWithoutKey(line, 'a line without a key')
  const { number, offset, text } = line
  const { type, comment } = found
  let blob: Buffer | undefined
  try {
    blob = decodeBlob(found)
    if (blobsOnly) return { line: number, type, blob, comment }
    if (text.length - found.base64.length > MAX_WORDS) throw tooLong(offset)
    return { line: number, type, blob, key: PublicKey.fromBlob(blob, comment), comment }
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    return { line: number, type, ...(blob && { blob }), error, comment: comment.slice(0, MAX_WORDS) }
  }
}

export function lineWithoutKey({ number, offset }: TextLine, what: string): KeyLine {
  return { line: number, error: damagedAt(what, offset), comment: '' }
}

/** A field of the line as people read it: its bytes are UTF-8 as a rule. */
export function decodeField(latin1: string): string {
  return decodeComment(Buffer.from(latin1, 'latin1'))
}

function commentAt(text: string, from: number): string {
  return decodeField(text.slice(skipBlanks(text, from)))
}

function tooLong(offset: number): KeytoolError {
  return damagedAt('a line is too long to be a key', offset)
}
