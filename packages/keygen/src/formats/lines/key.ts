import { isUtf8 } from 'node:buffer'
import { publicAlgorithms } from '../../algorithms/table.js'
import { damagedAt, isKeytoolError, KeytoolError } from '../../error.js'
import { PublicKey } from '../../key.js'
import { decodeBase64 } from '../armor.js'
import { decodeComment } from '../comment.js'
import { tryBase64 } from './base64.js'
import { endOfWord, skipBlanks, type TextLine } from './text.js'
import { troubles } from './trouble.js'

/** Far above every real key: a certificate by ML-DSA for 256 principals. In characters. */
const MAX_BASE64 = 256 * 1024
/** Of all else on a line: options, hosts, comment. In bytes. */
const MAX_WORDS = 16 * 1024
/** Of a type's name, in characters and in bytes. */
const MAX_TYPE = 128
const MAX_BLOB_TYPE = 256
const TYPE = /^[A-Za-z0-9][A-Za-z0-9@._-]*$/
/** A blob begins with its own name's length, which is below 256. */
const BLOB = 'AAAA'
/** Bits, exponent and modulus in decimal, as SSH-1 had its RSA keys; 16384 bits have 4933 digits. */
const SSH1 = [/^[1-9]\d{2,4}$/, /^[1-9]\d{0,4932}$/, /^[1-9]\d{99,4932}$/] as const

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
  /** No more of a key than its blob, and no line without one: for whoever looks for one key among thousands. Checking a point takes its time. */
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
  /** `damaged` or `unsupported`: why there is no key. One such line does not spoil the others, and many share one error. */
  readonly error?: KeytoolError
  readonly comment: string
}

/**
 * The key that begins at `at`, if one does. Nothing is decoded yet. Words are found without a pattern: on a line of many
 * megabytes its stack would overflow.
 */
export function findKey(line: TextLine, at: number): KeyText | undefined {
  const { text, offset } = line
  const endOfType = endOfWord(text, at)
  const type = endOfType - at <= MAX_TYPE ? text.slice(at, endOfType) : ''
  const from = skipBlanks(text, endOfType)
  const end = endOfWord(text, from)
  // OpenSSH passes over this white space even here, and heeds the line.
  if (TYPE.test(type) && beginsBlob(text, from, end)) {
    return { type, base64: text.slice(from, end), comment: commentAt(text, end), offset: offset + from }
  }
  const last = endOfSsh1(text, at)
  return last === undefined
    ? undefined
    : { type: 'rsa1', base64: '', comment: commentAt(text, last), offset: offset + at }
}

/** Looked for at the beginning only: a word may be megabytes long. */
function beginsBlob(text: string, from: number, end: number): boolean {
  let at = from
  for (let found = 0; found < BLOB.length; at++) {
    if (at >= end) return false
    const letter = text.charAt(at)
    if (letter === BLOB.charAt(found)) found++
    else if (!'\r\v\f'.includes(letter)) return false
  }
  return true
}

/** Where the numbers of an SSH-1 key end, if those begin at `from`. */
function endOfSsh1(text: string, from: number): number | undefined {
  let end = from
  for (const number of SSH1) {
    const at = skipBlanks(text, end)
    end = endOfWord(text, at)
    if (!number.test(text.slice(at, end))) return undefined
  }
  return end
}

/** The type a blob names itself, whether it is in our table or not. */
export function typeOfBlob(blob: Uint8Array): string | undefined {
  const bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength)
  const length = bytes.length < 4 ? Number.POSITIVE_INFINITY : bytes.readUInt32BE()
  if (length > Math.min(MAX_BLOB_TYPE, bytes.length - 4)) return undefined
  const name = bytes.subarray(4, 4 + length)
  return isUtf8(name) ? name.toString('utf8') : undefined
}

/** Throws `damaged` with the offset, `unsupported` for a type not in the table. */
export function decodeKey(found: KeyText): PublicKey {
  const { comment, base64, offset } = found
  const blob = blobOf(found)
  // Whoever reads a single key is told which character is wrong.
  if (blob === troubles.base64) decodeBase64(base64, offset)
  if (blob instanceof KeytoolError) throw blob.code === 'damaged' ? damagedAt(blob.message, offset) : blob
  if (comment.length > MAX_WORDS) throw damagedAt(troubles.long.message, offset)
  return PublicKey.fromBlob(blob, comment)
}

function blobOf({ type, base64 }: KeyText): Buffer | KeytoolError {
  if (type === 'rsa1') return troubles.ssh1
  if (base64.length > MAX_BASE64) return troubles.long
  const blob = tryBase64(base64)
  if (!blob) return troubles.base64
  // First of all, so that a damaged name is not taken for a type of the future.
  return typeOfBlob(blob) === (signatureNames.get(type) ?? type) ? blob : troubles.type
}

/** The line's key, or why there is none. */
export function readKeyLine(line: TextLine, found: KeyText, { blobsOnly = false }: LineOptions = {}): KeyLine {
  const { number, text } = line
  const { type, base64, comment } = found
  const blob = blobOf(found)
  if (blob instanceof KeytoolError) return { line: number, type, error: blob, comment: comment.slice(0, MAX_WORDS) }
  if (blobsOnly) return { line: number, type, blob, comment }
  const key = text.length - base64.length > MAX_WORDS ? troubles.long : tryKey(blob, comment)
  if (key instanceof PublicKey) return { line: number, type, blob, key, comment }
  return { line: number, type, blob, error: key, comment: comment.slice(0, MAX_WORDS) }
}

/** What is said of types that are in no table, by their names. */
const unknown = new Map<string, KeytoolError>()
/** Of those: a file may have a new one on each line. */
const MAX_UNKNOWN = 64

function tryKey(blob: Buffer, comment: string): PublicKey | KeytoolError {
  const type = typeOfBlob(blob) ?? ''
  if (publicAlgorithms.some(({ name }) => name === type)) return tryBlob(blob, comment)
  const known = unknown.get(type)
  if (known) return known
  if (unknown.size === MAX_UNKNOWN) return troubles.unknown
  const error = tryBlob(blob, comment)
  if (error instanceof KeytoolError) unknown.set(type, error)
  return error
}

function tryBlob(blob: Buffer, comment: string): PublicKey | KeytoolError {
  try {
    return PublicKey.fromBlob(blob, comment)
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    // There may be one for each of many lines, and its stack is far larger than the line.
    error.stack = `${error.name}: ${error.message}`
    return error
  }
}

/** A field of the line as people read it: its bytes are UTF-8 as a rule. */
export function decodeField(latin1: string): string {
  // Most are ASCII, which needs no decoder.
  return /[\u0080-\u00ff]/.test(latin1) ? decodeComment(Buffer.from(latin1, 'latin1')) : latin1
}

function commentAt(text: string, from: number): string {
  return decodeField(text.slice(skipBlanks(text, from)))
}
