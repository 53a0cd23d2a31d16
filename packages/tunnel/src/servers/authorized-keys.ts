import {
  type AuthorizedKeyLine,
  isKeytoolError,
  KeytoolError,
  type PublicKey,
  readAuthorizedKeys,
  splitKeyOptions,
  writePublicLine,
} from '@keytool/keygen'
import { isSameKey } from './same-key.js'

const LF = 0x0a
const CR = 0x0d

/**
 * All lines that let this very key in, as sshd reads them. A certificate authority's line does not: it lets others in.
 * @throws KeytoolError `damaged` for a file that is no text: UTF-16, or with NUL bytes
 */
export function findLines(bytes: Buffer, key: PublicKey): AuthorizedKeyLine[] {
  return readLines(bytes).filter(
    ({ heeded, blob, options }) => heeded && blob && isSameKey(blob, key) && !namesAuthority(options),
  )
}

/** The one line for this key, without a newline. Controls in the comment would make it two lines: they become blanks. */
export function formatAuthorizedKey(key: PublicKey, options = ''): string {
  const comment = key.comment.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').trim()
  const line = writePublicLine(key.withComment(comment)).trimEnd()
  return options === '' ? line : `${options} ${line}`
}

/**
 * The file with one more line at its end, and every byte before as it is, but for the newline that the last line may lack.
 * The new line ends as the last one that ends at all: whoever keeps the file with CR LF finds it so.
 * @param options as sshd takes them; see `checkKeyOptions`
 * @throws KeytoolError as {@link findLines}
 */
export function addKeyLine(bytes: Buffer, key: PublicKey, options = ''): Buffer {
  readLines(bytes)
  const last = bytes.lastIndexOf(LF)
  const newline = last > 0 && bytes[last - 1] === CR ? '\r\n' : '\n'
  const isWhole = bytes.length === 0 || last === bytes.length - 1
  return Buffer.concat([bytes, Buffer.from(`${isWhole ? '' : newline}${formatAuthorizedKey(key, options)}${newline}`)])
}

/**
 * The file without the lines that let this very key in; every other byte as it is.
 * @throws KeytoolError as {@link findLines}
 */
export function removeKeyLines(bytes: Buffer, key: PublicKey): Buffer {
  const gone = new Set(findLines(bytes, key).map(({ line }) => line))
  if (gone.size === 0) return bytes
  const kept: Buffer[] = []
  let start = 0
  for (let line = 1; start < bytes.length; line++) {
    const found = bytes.indexOf(LF, start)
    const end = found === -1 ? bytes.length : found + 1
    if (!gone.has(line)) kept.push(bytes.subarray(start, end))
    start = end
  }
  return Buffer.concat(kept)
}

/**
 * What whoever looks at the file should know: sshd knows no byte order mark, and heeds no key in the line behind one.
 * @throws KeytoolError as {@link findLines}
 */
export function noteOnFile(bytes: Buffer): string | undefined {
  const isMarked = bytes.subarray(0, 3).equals(Buffer.of(0xef, 0xbb, 0xbf))
  if (!isMarked || !readLines(bytes).some(({ line, blob }) => line === 1 && blob)) return undefined
  return 'line 1 stands behind a byte order mark: the server heeds no key in it'
}

function readLines(bytes: Buffer): AuthorizedKeyLine[] {
  try {
    return readAuthorizedKeys(bytes)
  } catch (cause) {
    if (!isKeytoolError(cause)) throw cause
    throw new KeytoolError('damaged', `authorized_keys on the server can't be read: ${cause.message}`, {
      reason: 'it is left as it is',
      hint: 'it has to be text, in UTF-8 without a byte order mark: save it so on the server, then try again',
      cause,
    })
  }
}

function namesAuthority(options: string): boolean {
  return splitKeyOptions(options)?.some(({ name }) => name === 'cert-authority') ?? false
}
