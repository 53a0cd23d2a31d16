import { KeytoolError, type PublicKey, Reader } from '@keytool/keygen'
import { parseKeyOptions } from './key-options.js'

/** A line that lets a key in. */
export interface AuthorizedKey {
  /** Counted from 1. */
  readonly line: number
  /** As they stand in front of the key; empty without. */
  readonly options: string
  readonly blob: Buffer
  readonly comment: string
}

/** Where an option's value is, spaces do not end it. */
const WORD = /^(?:"(?:[^"\\]|\\.)*"|[^\s"])+/s

/**
 * The lines of an authorized_keys file that sshd would heed: no comments, no damaged lines, none with options sshd does
 * not know.
 * @throws KeytoolError `damaged` for a file that is no text: UTF-16, or with NUL bytes
 */
export function parseAuthorizedKeys(bytes: Uint8Array): AuthorizedKey[] {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (file.includes(0) || /^(?:\xff\xfe|\xfe\xff)/.test(file.toString('latin1', 0, 2))) {
    throw new KeytoolError('damaged', 'authorized_keys is not text: it holds NUL bytes or is saved in UTF-16', {
      reason: 'it is left as it is',
      hint: 'save it as UTF-8 without a byte order mark on the server, then try again',
    })
  }
  // A byte order mark is left in place: sshd does not know it either, and does not heed that line.
  return file
    .toString('latin1')
    .split('\n')
    .flatMap((text, index) => parseLine(text.trim(), index + 1) ?? [])
}

/** The line that lets this very key in, if there is one. */
export function findKey(bytes: Uint8Array, key: PublicKey): AuthorizedKey | undefined {
  return findLines(bytes, key)[0]
}

/** All lines that let this very key in. A certificate authority's line does not: it lets others in. */
export function findLines(bytes: Uint8Array, key: PublicKey): AuthorizedKey[] {
  return parseAuthorizedKeys(bytes).filter(
    entry => entry.blob.equals(key.blob) && !parseKeyOptions(entry.options)?.includes('cert-authority'),
  )
}

/** The one line for this key, without a newline. Controls in the comment would make it two lines: they become blanks. */
export function formatAuthorizedKey(key: PublicKey, options = ''): string {
  const comment = key.comment.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').trim()
  return [options, key.algorithm.name, key.blob.toString('base64'), comment].filter(part => part !== '').join(' ')
}

/** The file with the line added, and with the newline its last line may lack. */
export function appendLine(bytes: Uint8Array, line: string): Buffer {
  const file = Buffer.from(bytes)
  const missingEnd = file.length > 0 && file.at(-1) !== 0x0a ? '\n' : ''
  return Buffer.concat([file, Buffer.from(`${missingEnd}${line}\n`, 'utf8')])
}

function parseLine(text: string, line: number): AuthorizedKey | undefined {
  if (text === '' || text.startsWith('#')) return undefined
  const plain = parseKey(text)
  if (plain) return { line, options: '', ...plain }
  // sshd too tries the line as a key first, and takes the first word for options only when that fails.
  const options = WORD.exec(text)?.[0]
  const key = options === undefined ? undefined : parseKey(text.slice(options.length).trimStart())
  if (options === undefined || !key || !parseKeyOptions(options)) return undefined
  return { line, options, ...key }
}

function parseKey(text: string): { blob: Buffer; comment: string } | undefined {
  const [, type, base64 = '', comment = ''] = /^(\S+)[ \t]+([A-Za-z0-9+/]+={0,2})(?:\s+(.*))?$/s.exec(text) ?? []
  if (type === undefined) return undefined
  const blob = Buffer.from(base64, 'base64')
  try {
    return new Reader(blob).text(256) === type ? { blob, comment } : undefined
  } catch {
    return undefined
  }
}
