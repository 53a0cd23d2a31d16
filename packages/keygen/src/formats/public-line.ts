import { KeytoolError } from '../error.js'
import { PublicKey } from '../key.js'
import { decodeBase64 } from './armor.js'
import { checkComment, decodeComment } from './comment.js'

/** Far above a 16384-bit RSA key with a long comment. In bytes. */
const MAX_LINE = 16 * 1024

/**
 * OpenSSH's one-line public key: type, base64 blob, comment (sshd(8), AUTHORIZED_KEYS FILE FORMAT, without options).
 */
export function writePublicLine(key: PublicKey): string {
  const comment = checkComment(key.comment)
  return `${key.algorithm.name} ${key.blob.toString('base64')}${comment ? ` ${comment}` : ''}\n`
}

/** Whether the bytes begin like lines of public keys: a type's name, then base64. */
export function looksLikePublicLines(bytes: Buffer): boolean {
  return bytes
    .subarray(0, 64 * 1024)
    .toString('latin1')
    .split('\n')
    .some(line => /^\s*(ssh|ecdsa|sk)-[a-z0-9@.-]+[ \t]+AAAA/.test(line))
}

/**
 * The keys in a file of public lines. Blank lines and comments are passed over.
 * @throws KeytoolError `damaged` with the offset, `unsupported` for a type not in the table
 */
export function readPublicLines(bytes: Buffer): PublicKey[] {
  const keys: PublicKey[] = []
  for (let start = 0; start < bytes.length; ) {
    const found = bytes.indexOf(10, start)
    const end = found < 0 ? bytes.length : found
    const key = readLine(bytes.subarray(start, end), start)
    if (key) keys.push(key)
    start = end + 1
  }
  return keys
}

function readLine(line: Buffer, offset: number): PublicKey | undefined {
  if (line.length > MAX_LINE) throw damaged('a line is too long to be a key', offset)
  const text = line.toString('latin1')
  if (/^\s*(#|$)/.test(text)) return undefined
  const match = /^(\s*)(\S+)([ \t]+)(\S+)([ \t]+)?/.exec(text)
  if (!match) throw damaged('a line is not a public key', offset)
  const [whole, before, type, between, base64] = match as unknown as [string, string, string, string, string]
  const at = offset + before.length + type.length + between.length
  const comment = decodeComment(line.subarray(whole.length)).trimEnd()
  const key = PublicKey.fromBlob(decodeBase64(base64, at), comment)
  if (key.algorithm.name !== type) throw damaged('a line names another type than its key has', offset)
  return key
}

function damaged(message: string, offset: number): KeytoolError {
  return new KeytoolError('damaged', `${message} (at byte ${offset})`, { offset })
}
