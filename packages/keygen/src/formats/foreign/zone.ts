import { damagedAt } from '../../error.js'

/** Far above every real record. In bytes. */
const MAX_FILE = 64 * 1024

/** One resource record of a zone file. */
export interface ZoneRecord {
  readonly owner: string
  /** In capitals. */
  readonly type: string
  /** What follows the type, word by word. */
  readonly data: readonly string[]
  /** Of its line's beginning. */
  readonly offset: number
}

/** Whether the first record of a zone file is one of these types. Never throws. */
export function beginsWithRecord(bytes: Buffer, types: readonly string[]): boolean {
  for (const line of bytes.toString('latin1', 0, MAX_FILE).split('\n')) {
    const words = withoutComment(line).split(/[ \t]+/)
    if (words.every(word => word === '')) continue
    return words.length > 1 && types.includes(typeAt(words)?.type ?? '')
  }
  return false
}

/**
 * The records of a piece of a zone file (RFC 1035 section 5.1): owner, TTL and class where they are given, type, data.
 * Comments and parentheses are understood; directives, quotes and owners left out are not, as no key's record needs them.
 * @throws KeytoolError `damaged` with the offset
 */
export function readRecords(bytes: Buffer): ZoneRecord[] {
  if (bytes.length > MAX_FILE) throw damagedAt('the file is too large for records of keys', MAX_FILE)
  const records: ZoneRecord[] = []
  let words: string[] = []
  let begun = 0
  let open = false
  let at = 0
  for (const line of bytes.toString('latin1').split('\n')) {
    const text = withoutComment(line)
    const bad = text.search(/[^\t -~]|["$]/)
    if (bad >= 0) throw damagedAt('a character stands in no record', at + bad)
    for (const word of text.replace(/[()]/g, ' $& ').split(/[ \t]+/)) {
      if (word === '(' || word === ')') {
        if (open === (word === '(')) throw damagedAt('the parentheses do not match', at)
        open = !open
      } else if (word !== '') {
        if (words.length === 0) begun = at
        words.push(word)
      }
    }
    if (!open && words.length > 0) {
      records.push(toRecord(words, begun))
      words = []
    }
    at += line.length + 1
  }
  if (open) throw damagedAt('the file is cut short', bytes.length)
  if (records.length === 0) throw damagedAt('the file holds no record', 0)
  return records
}

/** The line up to a semicolon, and without the CR of its end. */
function withoutComment(line: string): string {
  const semicolon = line.indexOf(';')
  const text = semicolon < 0 ? line : line.slice(0, semicolon)
  return text.endsWith('\r') ? text.slice(0, -1) : text
}

function toRecord(words: readonly string[], offset: number): ZoneRecord {
  const [owner = ''] = words
  const found = typeAt(words)
  if (!found) throw damagedAt('a line is no record', offset)
  return { owner, type: found.type, data: words.slice(found.index + 1), offset }
}

/** TTL and class come in either order (RFC 1035 section 5.1); the class is the Internet's. */
function typeAt(words: readonly string[]): { type: string; index: number } | undefined {
  let index = 1
  for (const isOptional of [isTtlOrClass, isTtlOrClass]) if (isOptional(words[index] ?? '')) index++
  const type = words[index]?.toUpperCase()
  return type === undefined || type === '' ? undefined : { type, index }
}

function isTtlOrClass(word: string): boolean {
  return /^(?:\d{1,10}|(?:\d{1,9}[smhdw])+|in)$/i.test(word)
}
