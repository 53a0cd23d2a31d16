import { KeytoolError } from '../../error.js'
import { PublicKey } from '../../key.js'
import { wrapBase64 } from '../armor.js'
import { checkComment, decodeComment } from '../comment.js'
import type { PublicFormat } from '../format.js'
import { beginsWithMark, readBlocks, unquote } from './block.js'

const LABEL = 'SSH2 PUBLIC KEY'
/** RFC 4716 sections 3.1 and 3.3: of a line, and of a header's value. In bytes. */
const MAX = { line: 72, value: 1024 }
/** What ssh-keygen wraps at. */
const WIDTH = 70

/**
 * What misleads `ssh-keygen -i`, which looks at the lines of a header one by one: in the first line these seem to end
 * the key or to announce a private one, in the others they seem to begin another header.
 */
const MISLEADING = {
  first: [' END ', '---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----'],
  other: [': '],
}
/** A line that begins so is taken for a mark. */
const DASHES = '----'

/** The Secure Shell public key file format, RFC 4716: that of ssh.com, of `ssh-keygen -e` and of PuTTYgen. */
export const rfc4716: PublicFormat & Required<Pick<PublicFormat, 'write'>> = {
  name: 'rfc4716',
  keepsComment: true,
  title: 'RFC 4716',

  detect: bytes => beginsWithMark(bytes, LABEL),

  async read(bytes) {
    return readBlocks(bytes, LABEL).map(({ headers, body }) => {
      const comment = headers.find(({ name }) => name.toLowerCase() === 'comment')?.value
      return PublicKey.fromBlob(body, comment === undefined ? '' : readComment(comment))
    })
  },

  write(key) {
    const lines = [
      `---- BEGIN ${LABEL} ----`,
      ...commentLines(checkComment(key.comment)),
      ...wrapBase64(key.blob, WIDTH),
      `---- END ${LABEL} ----`,
    ]
    return Buffer.from(`${lines.join('\n')}\n`)
  },
}

/**
 * RFC 4716 says nothing of quotes within quotes; PuTTY puts a backslash before them and before itself. Other backslashes
 * are left alone: most tools write what is not escaped.
 */
function readComment(value: Buffer): string {
  const inner = unquote(value)
  const text = decodeComment(inner)
  return inner === value ? text : text.replace(/\\(["\\])/g, '$1')
}

/** The header, folded so that no line is too long and no character is torn apart. */
function commentLines(comment: string): string[] {
  if (comment === '') return []
  const value = `"${comment.replace(/["\\]/g, '\\$&')}"`
  if (Buffer.byteLength(value) > MAX.value) {
    throw new KeytoolError(
      'usage',
      `RFC 4716 allows comments of ${MAX.value} bytes, quotes included; this one is longer`,
      {
        hint: 'shorten it: keytool comment FILE TEXT',
      },
    )
  }
  const lines: string[] = []
  for (let rest = `Comment: ${value}`; rest !== ''; ) {
    const line = nextLine(rest, lines.length === 0 ? MISLEADING.first : MISLEADING.other, lines.length === 0)
    rest = rest.slice(line.length)
    lines.push(rest === '' ? line : `${line}\\`)
  }
  return lines
}

/** As much of `rest` as a line of a header may hold, the backslash of a continuation included in the reckoning. */
function nextLine(rest: string, misleading: readonly string[], isFirst: boolean): string {
  const fitting = Buffer.byteLength(rest) <= MAX.line ? rest : takeBytes(rest, MAX.line - 1)
  const cuts = misleading.map(text => [fitting.indexOf(text), text.length - 1] as const)
  const ends = cuts.flatMap(([at, length]) => (at < 0 ? [] : [at + length]))
  if (!isFirst && fitting.startsWith(DASHES)) ends.push(DASHES.length - 1)
  return fitting.slice(0, Math.min(fitting.length, ...ends))
}

/** Whole characters from the beginning that take at most `limit` bytes in UTF-8. */
function takeBytes(text: string, limit: number): string {
  let size = 0
  let end = 0
  for (const character of text) {
    size += Buffer.byteLength(character)
    if (size > limit) break
    end += character.length
  }
  return text.slice(0, end)
}
