import type { Charset } from './names.js'

/** What stands for bytes that mean nothing. */
export const REPLACEMENT = 0xfffd

/** What the library writes for a character that the charset lacks. */
export const QUESTION_MARK = 0x3f

/** The first and last byte that may begin or end a character of several. */
const FIRST = 0x81
const LAST = 0xfe
/** The lowest second byte: GB18030's digits. */
const LOWEST = 0x30

/** Both ways between a charset's bytes and UTF-16. 0 is never a character of these tables: ASCII is not looked up. */
export interface Tables {
  /**
   * By one byte or two, read as a number: the character as one UTF-16 unit, or two as `first << 16 | second` (a
   * surrogate pair; in Big5 a letter with its accent).
   */
  readonly toText: Uint32Array
  /** EUC-JP's characters of three bytes, the first of which is 0x8f, by the other two. */
  readonly three?: Uint32Array
  /** Whether a character of several bytes can begin with this byte. */
  readonly leads: Uint8Array
  /** The way back by one unit, the bytes read as a number; and of characters that are two units. */
  readonly toBytes: Uint32Array
  readonly pairsToBytes: ReadonlyMap<number, number>
  /** GB18030's characters of four bytes, which are too many for a table. */
  readonly four?: { toText(bytes: Uint8Array): string; toBytes(character: string): Uint8Array }
}

/** The library's part that is used: whole texts at a time. Its streams lose bytes where a damaged character is cut. */
interface Library {
  decode(bytes: Uint8Array, charset: string, options: { stripBOM: boolean }): string
  encode(text: string, charset: string): Buffer
}

/**
 * Signs of JIS X 0208 that Unicode has twice: which of the two is typed depends on the system here, and the far side has
 * one spelling for both.
 */
const japaneseTwins: ReadonlyMap<number, number> = new Map([
  [0x301c, 0xff5e],
  [0x2016, 0x2225],
  [0x2212, 0xff0d],
  [0x2014, 0x2015],
  [0xa2, 0xffe0],
  [0xa3, 0xffe1],
  [0xac, 0xffe2],
  [0xa5, 0xffe5],
  [0x203e, 0xffe3],
])
const japanese = ['euc-jp', 'shift_jis']

const made = new Map<string, Promise<Tables>>()

/** The tables of a charset that is not UTF-8, made once, in some 10 ms. */
export function loadTables({ table, structure }: Charset): Promise<Tables> {
  let tables = made.get(table)
  if (!tables) {
    tables = import('iconv-lite').then(({ default: library }) =>
      makeTables(library, table, structure === 'iso-2022-jp' ? 'euc-jp' : structure),
    )
    made.set(table, tables)
  }
  return tables
}

function makeTables(library: Library, table: string, structure: Charset['structure']): Tables {
  const isSingle = structure === 'single'
  const tables = {
    toText: new Uint32Array(isSingle ? 0x100 : 0x1_0000),
    ...(structure === 'euc-jp' && { three: new Uint32Array(0x1_0000) }),
    leads: new Uint8Array(256),
    toBytes: new Uint32Array(0x1_0000),
    pairsToBytes: new Map<number, number>(),
  }
  readSequences(library, table, singles(), tables)
  if (!isSingle) {
    readSequences(library, table, pairs(), tables)
    if (structure === 'euc-jp') readSequences(library, table, triples(), tables)
    const firstSpellings = Uint32Array.from(tables.toBytes)
    preferSpellings(library, table, tables)
    if (japanese.includes(table)) joinTwins(firstSpellings, tables)
  }
  if (structure !== 'gb18030') return tables
  tables.leads.fill(1, FIRST, LAST + 1)
  const four = {
    toText: (bytes: Uint8Array) => library.decode(bytes, table, { stripBOM: false }),
    toBytes: (character: string) => library.encode(character, table),
  }
  return { ...tables, four }
}

type Writable = Omit<Tables, 'four' | 'pairsToBytes'> & { readonly pairsToBytes: Map<number, number> }

/** Asks for all of them in one go, a line each: that is a hundred times faster than one by one. */
function readSequences(library: Library, table: string, sequences: readonly number[][], tables: Writable): void {
  const lines = library.decode(Buffer.from(sequences.flatMap(bytes => [...bytes, 10])), table, { stripBOM: false })
  const texts = lines.split('\n')
  for (const [i, bytes] of sequences.entries()) {
    const text = texts[i] ?? ''
    // What is no character shows as U+FFFD and what is left behind it. A first byte that is one by itself has been read.
    if (text === '' || text.includes('\ufffd') || tables.toText[bytes[0] ?? 0]) continue
    note(bytes, text.length === 1 ? text.charCodeAt(0) : joinUnits(text.charCodeAt(0), text.charCodeAt(1)), tables)
  }
}

/** Two UTF-16 units as one number. */
export function joinUnits(first: number, second: number): number {
  return first * 0x1_0000 + second
}

function note(bytes: readonly number[], units: number, tables: Writable): void {
  const { toText, three, leads, toBytes, pairsToBytes } = tables
  const key = bytes.reduce((value, byte) => value * 256 + byte, 0)
  if (bytes.length < 3) toText[key] = units
  else if (three) three[key & 0xffff] = units
  if (bytes.length > 1) leads[bytes[0] ?? 0] = 1
  if (units > 0xffff) {
    if (!pairsToBytes.has(units)) pairsToBytes.set(units, key)
  } else if (!toBytes[units]) toBytes[units] = key
}

/** Where a character has several spellings, the library knows which one is written. */
function preferSpellings(library: Library, table: string, { toBytes }: Writable): void {
  const units = [...toBytes.keys()].filter(unit => toBytes[unit])
  const written = library.encode(units.map(unit => `${String.fromCharCode(unit)}\n`).join(''), table)
  let start = 0
  for (const unit of units) {
    const end = written.indexOf(10, start)
    const key = written.subarray(start, end).reduce((value, byte) => value * 256 + byte, 0)
    if (key !== QUESTION_MARK) toBytes[unit] = key
    start = end + 1
  }
}

/** EUC-JP has one of them once more, among the rarer signs, which few programs read. */
function joinTwins(firstSpellings: Uint32Array, { toBytes }: Writable): void {
  for (const [twin, known] of japaneseTwins) {
    toBytes[known] = firstSpellings[known] ?? 0
    toBytes[twin] ||= toBytes[known] ?? 0
  }
}

const range = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i)

const singles = (): number[][] => range(0x80, 0xff).map(byte => [byte])

const pairs = (): number[][] => range(FIRST, LAST).flatMap(lead => range(LOWEST, LAST).map(trail => [lead, trail]))

/** EUC-JP's third set, JIS X 0212. */
const triples = (): number[][] =>
  range(0xa1, LAST).flatMap(second => range(0xa1, LAST).map(third => [0x8f, second, third]))
