import { type AuthorizedKeyLine, KeytoolError, type PublicKey, showForeign } from '@keytool/keygen'
import { findLines, formatAuthorizedKey } from '../authorized-keys.js'
import { meanTheSame } from '../key-options.js'
import { putBack } from './put-back.js'
import { digest, endOf, joinRows, splitRows, textOf, withEnd } from './rows.js'

// What a rotation does to authorized_keys, on bytes alone. Lines are latin1 texts here, so that every byte is one character
// and what nobody understands comes back as it was.

/** How many lines one key may have, and how long they may be together, in characters. More is nobody's, and kept nowhere. */
export const MAX_LINES = 256
const MAX_TEXT = 64 * 1024

/** A line of the old key, as it stood before it was removed. */
export interface OldLine {
  /** Counted from 1, without the lines that the rotation put there. */
  readonly line: number
  /** All of it as latin1, its end included; without one where the file ended. */
  readonly text: string
  /** Which line stood above it: its digest; empty for none. */
  readonly above: string
}

/** How the new key comes to stand beside the old one. */
export interface Adding {
  readonly old: readonly OldLine[]
  /** Lines of the new key that were there before us, without their ends. */
  readonly before: readonly string[]
  /** Lines of the new key that are the rotation's: those to be added, and those it has added. */
  readonly added: readonly string[]
  /** Whether any line lets the new key in now. */
  readonly isThere: boolean
  /** The file with all of them; absent when it has them. */
  readonly after?: Buffer
}

/**
 * Each line of the old key gets one of the new key's below it, with the same options to the letter. One that means the same
 * is enough for several.
 * @param added lines that this rotation has put there before
 * @throws KeytoolError `refused` when the new key is there with other options than the old one's, `damaged` for a file that
 * is no text, `unsupported` for lines without end
 */
export function planAdding(bytes: Buffer, old: PublicKey, fresh: PublicKey, added: readonly string[]): Adding {
  const rows = splitRows(bytes)
  const oldLines = findLines(bytes, old)
  const there = findLines(bytes, fresh)
  checkSize([...oldLines, ...there].map(({ line }) => rows[line - 1] ?? ''))
  const isOurs = ({ line }: AuthorizedKeyLine) => added.includes(textOf(rows[line - 1]))
  const foreign = there.filter(line => !isOurs(line))
  if (oldLines.length > 0) for (const line of foreign) refuseOther(line, oldLines)
  const known = there.map(({ options }) => options)
  const wanted: string[] = []
  const made: string[] = []
  const numbers = new Set(oldLines.map(({ line }) => line))
  rows.forEach((row, index) => {
    made.push(row)
    const options = numbers.has(index + 1) ? oldLines.find(({ line }) => line === index + 1)?.options : undefined
    if (options === undefined || known.some(each => meanTheSame(each, options))) return
    known.push(options)
    const text = Buffer.from(formatAuthorizedKey(fresh, checkOptions(options, row, index + 1))).toString('latin1')
    wanted.push(text)
    made[made.length - 1] = withEnd(row)
    made.push(`${text}${endOf(row) || '\n'}`)
  })
  return {
    old: describe(rows, numbers, new Set(there.filter(isOurs).map(({ line }) => line))),
    before: foreign.map(({ line }) => textOf(rows[line - 1])),
    added: [...there.filter(isOurs).map(({ line }) => textOf(rows[line - 1])), ...wanted],
    isThere: there.length > 0,
    ...(wanted.length > 0 && { after: joinRows(made) }),
  }
}

/**
 * The lines as they are now, with the ends they had before the rotation: the last one of a file gets one when something is
 * put below it.
 */
export function withEndsBefore(now: readonly OldLine[], before: readonly OldLine[]): OldLine[] {
  return now.map(line => {
    const known = before.find(each => each.line === line.line && textOf(each.text) === textOf(line.text))
    return known ? { ...line, text: known.text } : line
  })
}

/** The file without any line that lets the key in; `undefined` when there is none. */
export function withoutKey(bytes: Buffer, key: PublicKey): Buffer | undefined {
  const numbers = new Set(findLines(bytes, key).map(({ line }) => line))
  return numbers.size === 0 ? undefined : joinRows(splitRows(bytes).filter((_, index) => !numbers.has(index + 1)))
}

/**
 * The file with the old key's lines where they stood: below the line they stood below, else by their number. `undefined`
 * when all of them are there.
 * @param added lines that the rotation has put there, which their numbers do not count
 * @throws KeytoolError `refused` when the old key is there with other options than before: somebody has decided that since;
 * `damaged` for a line that lets somebody else in, whoever wrote it down
 */
export function withOldLines(
  bytes: Buffer,
  old: PublicKey,
  lines: readonly OldLine[],
  added: readonly string[],
): Buffer | undefined {
  const rows = splitRows(bytes)
  for (const { text } of lines) refuseForeign(text, old)
  const texts = lines.map(({ text }) => textOf(text))
  for (const { line, options } of findLines(bytes, old)) {
    if (!texts.includes(textOf(rows[line - 1]))) refuseChanged(line, options)
  }
  const there = new Set(rows.map(textOf))
  const missing = lines.filter(({ text }) => !there.has(textOf(text)))
  if (missing.length === 0) return undefined
  return joinRows(putBack(rows, missing, added))
}

/**
 * The file without the lines that the rotation has added, and with its end as it was; `undefined` when none of them is
 * there.
 */
export function withoutAdded(
  bytes: Buffer,
  fresh: PublicKey,
  added: readonly string[],
  lines: readonly OldLine[],
): Buffer | undefined {
  const rows = splitRows(bytes)
  const ours = new Set(
    findLines(bytes, fresh)
      .map(({ line }) => line)
      .filter(line => added.includes(textOf(rows[line - 1]))),
  )
  if (ours.size === 0) return undefined
  const left = rows.filter((_, index) => !ours.has(index + 1))
  const last = left.at(-1)
  const isAsBefore = lines.some(({ text }) => endOf(text) === '' && text === textOf(last))
  if (last !== undefined && isAsBefore) left[left.length - 1] = textOf(last)
  return joinRows(left)
}

function describe(rows: readonly string[], old: ReadonlySet<number>, ours: ReadonlySet<number>): OldLine[] {
  const counted = rows.map((row, index) => ({ row, number: index + 1 })).filter(({ number }) => !ours.has(number))
  return counted.flatMap(({ row, number }, index) =>
    old.has(number) ? [{ line: index + 1, text: row, above: digest(counted[index - 1]?.row) }] : [],
  )
}

function refuseOther(line: AuthorizedKeyLine, old: readonly AuthorizedKeyLine[]): void {
  if (old.some(({ options }) => meanTheSame(options, line.options))) return
  throw new KeytoolError(
    'refused',
    `the new key is there already, but ${showOptions(line.options)}: line ${line.line}`,
    {
      reason: `the old one is there ${showOptions(old[0]?.options ?? '')}; nothing was changed`,
      hint: 'make the two lines alike on the server, or take the new key out there: keytool remove-pubkey',
    },
  )
}

function refuseForeign(text: string, old: PublicKey): void {
  if (findLines(Buffer.from(text, 'latin1'), old).length === 1) return
  throw new KeytoolError('damaged', 'the journal has a line that is not the old key’s', {
    reason: `${showForeign(text)}; nothing was changed`,
    hint: 'look at the journal: it was written by somebody else',
  })
}

function refuseChanged(line: number, options: string): void {
  throw new KeytoolError('refused', `the old key is there again, ${showOptions(options)}: line ${line}`, {
    reason: 'before the rotation it had others; nothing was changed',
    hint: 'somebody has put it there since: take it out on the server, then try again',
  })
}

function showOptions(options: string): string {
  return options === '' ? 'without options' : `with ${showForeign(options)}`
}

function checkSize(rows: readonly string[]): void {
  const size = rows.reduce((sum, { length }) => sum + length, 0)
  if (rows.length <= MAX_LINES && size <= MAX_TEXT) return
  throw new KeytoolError('unsupported', `the keys have ${rows.length} lines of ${size} bytes in all there`, {
    reason: `${MAX_LINES} lines and ${MAX_TEXT} bytes are the most that is rotated; nothing was changed`,
    hint: 'look at that file: nobody has written it by hand',
  })
}

/** The options, if their bytes are those that stand on the line. */
function checkOptions(options: string, row: string, line: number): string {
  if (row.trimStart().startsWith(Buffer.from(options).toString('latin1'))) return options
  throw new KeytoolError('damaged', `the old key's options are not UTF-8: line ${line}`, {
    reason: 'they could not be carried over as they are; nothing was changed',
  })
}
