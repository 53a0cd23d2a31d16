import { decodeField, findKey, type KeyLine, readKeyLine } from './key.js'
import { endOfOptions, splitKeyOptions } from './key-options.js'
import { followsMark, readEntries, skipBlanks, type TextLine } from './text.js'
import { troubles } from './trouble.js'

/** A line of authorized_keys that lets a key in, or should. */
export interface AuthorizedKeyLine extends KeyLine {
  /** As they stand in front of the key, whether sshd would take them or not; empty without. */
  readonly options: string
  /**
   * Whether what stands in front of the key lets sshd heed the line: options it takes or none, and no byte order mark, which
   * it does not know.
   */
  readonly heeded: boolean
}

/**
 * The lines of an authorized_keys file (sshd(8), AUTHORIZED_KEYS FILE FORMAT), without blank ones and comments. A line that
 * can't be read is among them, with its error.
 * @throws KeytoolError `damaged` for a file that is no text, or has more lines than any real one
 */
export function readAuthorizedKeys(bytes: Buffer): AuthorizedKeyLine[] {
  return readEntries(bytes, readLine)
}

function readLine(line: TextLine): AuthorizedKeyLine {
  const { text } = line
  const marked = followsMark(line)
  const start = skipBlanks(text, 0)
  // sshd too tries the line as a key first, and takes the first word for options only when that fails.
  const plain = findKey(line, start)
  if (plain) return { ...readKeyLine(line, plain), options: '', heeded: !marked }
  const end = endOfOptions(text, start)
  const found = findKey(line, skipBlanks(text, end))
  if (!found) return { line: line.number, error: troubles.none, comment: '', options: '', heeded: false }
  const options = decodeField(text.slice(start, end))
  const heeded = !marked && splitKeyOptions(options) !== undefined
  return { ...readKeyLine(line, found), options, heeded }
}
