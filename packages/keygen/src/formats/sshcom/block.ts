import { damagedAt } from '../../error.js'
import { decodeBase64 } from '../armor.js'

/** Far above every real file of these formats. In bytes. */
const MAX_FILE = 1 << 20
/** RFC 4716 section 3.3 allows 1024; tools that do not fold write longer ones. In bytes. */
const MAX_VALUE = 16 * 1024
const LF = 10
const CR = 13
const BACKSLASH = 0x5c
const QUOTE = 0x22
const BLANK = [0x20, 0x09, CR, LF]

/** One header, its continuation lines joined. */
export interface Header {
  /** As the file spells it. */
  readonly name: string
  readonly value: Buffer
  /** Where its line starts. */
  readonly offset: number
}

/** What stands between two marks. */
export interface Block {
  readonly headers: readonly Header[]
  /** The decoded base64. */
  readonly body: Buffer
}

interface Line {
  readonly bytes: Buffer
  readonly offset: number
}

/** Whether the bytes begin with the mark `---- BEGIN label ----`, after blank space at the most. Never throws. */
export function beginsWithMark(bytes: Buffer, label: string): boolean {
  const start = bytes.subarray(0, 4096).findIndex(byte => !BLANK.includes(byte))
  return (
    start >= 0 &&
    bytes
      .subarray(start, start + 128)
      .toString('latin1')
      .startsWith(`---- BEGIN ${label} ----`)
  )
}

/**
 * The blocks of a file in the manner of RFC 4716 section 3: a mark, headers, base64, a mark. ssh.com's private keys have
 * the same. Lines end with LF, CRLF or CR; blank lines mean nothing.
 * @throws KeytoolError `damaged` with the offset, also for a header that stands twice and for a file without any block
 */
export function readBlocks(bytes: Buffer, label: string): Block[] {
  if (bytes.length > MAX_FILE) throw damagedAt('the file is too large to be a key', MAX_FILE)
  const lines = splitLines(bytes)
  const blocks: Block[] = []
  for (let line = lines.next(); !line.done; line = lines.next()) {
    if (isBlank(line.value)) continue
    if (!isMark(line.value, `---- BEGIN ${label} ----`)) {
      throw damagedAt(`a line stands where "---- BEGIN ${label} ----" should be`, line.value.offset)
    }
    blocks.push(readBlock(lines, `---- END ${label} ----`, bytes.length))
  }
  if (blocks.length === 0) throw damagedAt('the file is empty', 0)
  return blocks
}

/** The value without the quotes around it, which mean nothing (RFC 4716 section 3.3.2); the same buffer where there are none. */
export function unquote(value: Buffer): Buffer {
  const quoted = value.length >= 2 && value[0] === QUOTE && value.at(-1) === QUOTE
  return quoted ? value.subarray(1, -1) : value
}

function readBlock(lines: Generator<Line, undefined>, end: string, length: number): Block {
  const headers: Header[] = []
  const names = new Set<string>()
  const body: string[] = []
  let bodyAt: number | undefined
  for (let line = lines.next(); !line.done; line = lines.next()) {
    if (isBlank(line.value)) continue
    if (isMark(line.value, end)) {
      return { headers, body: decodeBase64(body.join(''), bodyAt ?? line.value.offset) }
    }
    const text = line.value.bytes.toString('latin1')
    if (bodyAt === undefined && text.includes(': ')) {
      headers.push(readHeader(line.value, text.indexOf(': '), lines, names, length))
      continue
    }
    bodyAt ??= line.value.offset
    const bad = text.search(/[^A-Za-z0-9+/=]/)
    if (bad >= 0) throw damagedAt('a character is not base64', line.value.offset + bad)
    body.push(text)
  }
  throw damagedAt(`the line "${end}" is missing: the file is cut short`, length)
}

/**
 * RFC 4716 section 3.3: a line that ends with a backslash goes on in the next.
 * @param earlier names of the headers before, in small letters; this one's is added
 */
function readHeader(
  { bytes, offset }: Line,
  colon: number,
  lines: Generator<Line, undefined>,
  earlier: Set<string>,
  length: number,
): Header {
  const name = bytes.toString('latin1', 0, colon)
  if (!/^[!-9;-~]{1,64}$/.test(name)) throw damagedAt('the name of a header is not one', offset)
  if (earlier.has(name.toLowerCase())) throw damagedAt(`the header "${name}" stands twice`, offset)
  earlier.add(name.toLowerCase())
  const parts = [bytes.subarray(colon + 2)]
  let size = 0
  for (let last = parts[0]; last?.at(-1) === BACKSLASH; last = parts.at(-1)) {
    parts[parts.length - 1] = last.subarray(0, -1)
    const next = lines.next()
    if (next.done) throw damagedAt('a header goes on in a line that is not there', length)
    size += next.value.bytes.length
    if (size > MAX_VALUE) throw damagedAt('a header is too long', offset)
    parts.push(next.value.bytes)
  }
  const value = Buffer.concat(parts)
  if (value.length > MAX_VALUE) throw damagedAt('a header is too long', offset)
  return { name, value, offset }
}

/** The lines, without their ends. */
function* splitLines(bytes: Buffer): Generator<Line, undefined> {
  for (let start = 0; start < bytes.length; ) {
    let end = start
    while (end < bytes.length && bytes[end] !== LF && bytes[end] !== CR) end++
    yield { bytes: bytes.subarray(start, end), offset: start }
    start = end + (bytes[end] === CR && bytes[end + 1] === LF ? 2 : 1)
  }
}

function isBlank({ bytes }: Line): boolean {
  return bytes.every(byte => BLANK.includes(byte))
}

/** Spaces after a mark mean nothing. A tab there may be the CR of a CR LF with one bit turned. */
function isMark({ bytes }: Line, mark: string): boolean {
  return /^ *$/.test(bytes.toString('latin1', mark.length)) && bytes.toString('latin1', 0, mark.length) === mark
}
