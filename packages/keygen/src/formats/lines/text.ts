import { damagedAt, KeytoolError } from '../../error.js'

/** One line of a text file. */
export interface TextLine {
  /** Counted from 1. */
  readonly number: number
  /** Of its first byte in the file. */
  readonly offset: number
  /** As latin1, so that every byte is one character; without its end (LF or CR LF). */
  readonly text: string
}

/** Of one file: those of 16 MiB, the most that is read, have fewer when they are real. */
const MAX_ENTRIES = 200_000

const BOM = Buffer.of(0xef, 0xbb, 0xbf)

/**
 * The lines of a file that is meant to be UTF-8 text. A byte order mark is passed over.
 * @throws KeytoolError `damaged` for UTF-16 and for NUL bytes, at once
 */
export function splitLines(bytes: Buffer): Iterable<TextLine> {
  if (isUtf16(bytes)) {
    throw new KeytoolError('damaged', 'the file is saved in UTF-16', {
      hint: 'save it as UTF-8, then try again',
      offset: 0,
    })
  }
  const nul = bytes.indexOf(0)
  if (nul >= 0) throw damagedAt('the file is not text: a NUL byte', nul)
  return each(bytes.toString('latin1'), bytes.subarray(0, BOM.length).equals(BOM) ? BOM.length : 0)
}

/**
 * What `read` makes of each line that is neither blank nor a comment; it gives `undefined` for one to be passed over.
 * @throws KeytoolError `damaged` for a file that is no text, or has more entries than any real one
 */
export function readEntries<T>(bytes: Buffer, read: (line: TextLine) => T | undefined): T[] {
  const found: T[] = []
  for (const line of splitLines(bytes)) {
    const entry = isIdle(line) ? undefined : read(line)
    if (entry === undefined) continue
    if (found.length === MAX_ENTRIES) throw damagedAt('the file has more lines than any such file', line.offset)
    found.push(entry)
  }
  return found
}

/** Whether the bytes begin with UTF-16's byte order mark. */
export function isUtf16(bytes: Buffer): boolean {
  return bytes.length >= 2 && ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff))
}

function* each(text: string, from: number): Generator<TextLine> {
  let number = 1
  for (let start = from; start < text.length; number++) {
    const found = text.indexOf('\n', start)
    const end = found < 0 ? text.length : found
    yield {
      number,
      offset: start,
      text: text.slice(start, text.charAt(end - 1) === '\r' && end > start ? end - 1 : end),
    }
    start = end + 1
  }
}

/** Whether a byte order mark stands in front of the line. */
export function followsMark({ number, offset }: TextLine): boolean {
  return number === 1 && offset > 0
}

/** Where the first character that is neither space nor tab stands. */
export function skipBlanks(text: string, from: number): number {
  let at = from
  while (text.charAt(at) === ' ' || text.charAt(at) === '\t') at++
  return at
}

/** Where the word that begins at `from` ends: at a blank, whatever stands before it. */
export function endOfWord(text: string, from: number): number {
  let at = from
  while (at < text.length && text.charAt(at) !== ' ' && text.charAt(at) !== '\t') at++
  return at
}

/** Whether nothing stands on the line, or a comment. */
export function isIdle({ text }: TextLine): boolean {
  const first = text.charAt(skipBlanks(text, 0))
  return first === '' || first === '#'
}
