import { decodeField, findKey, type KeyLine, readKeyLine } from './key.js'
import { endOfOptions, splitKeyOptions } from './key-options.js'
import { followsMark, isIdle, skipBlanks, splitLines, type TextLine } from './text.js'

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
 * @throws KeytoolError `damaged` for a file that is no text
 */
export function readAuthorizedKeys(bytes: Buffer): AuthorizedKeyLine[] {
  const found: AuthorizedKeyLine[] = []
  for (const line of splitLines(bytes)) if (!isIdle(line)) found.push(readLine(line))
  return found
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
  const options = found ? decodeField(text.slice(start, end)) : ''
  const heeded = found !== undefined && !marked && splitKeyOptions(options) !== undefined
  return { ...readKeyLine(line, found), options, heeded }
}
