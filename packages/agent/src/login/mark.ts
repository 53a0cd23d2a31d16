import { createHash } from 'node:crypto'
import type { LoginFile } from './service.js'

/** Every file that is written says so in a comment, with a sum of the rest: what was changed since is its user's. */
const textBy = (by: string) => `Made by ${by}, which replaces it unless it was edited`
const MARK = /Made by (keytool [a-z ]+), .*\(([0-9a-f]{16}), (\d{1,2})\)/

const BOM = '\ufeff'

/** What a file that was found is to us. */
export interface Marked {
  /** The text without the comment. */
  readonly text: string
  readonly isEdited: boolean
  /** How many folders above it were made for it. */
  readonly folders: number
}

/** The whole file in words. `folders`: how many are there because of it. */
export function wholeText({ text, by, comment: { open, close, after } }: LoginFile, folders: number): string {
  const lines = text.split('\n')
  lines.splice(after, 0, `${open}${textBy(by)} (${sumOf(text)}, ${folders})${close}`)
  return lines.join('\n')
}

/** The same as it lies on the disk. */
export function wholeBytes(file: LoginFile, folders: number): Buffer {
  const { encoding = 'utf8' } = file
  return Buffer.from(`${encoding === 'utf16le' ? BOM : ''}${wholeText(file, folders)}`, encoding)
}

/** Undefined when it does not say that it is ours, of this sort. */
export function readMark(bytes: Buffer, { by, encoding = 'utf8' }: LoginFile): Marked | undefined {
  const lines = bytes
    .toString(encoding)
    .replace(/^\ufeff/, '')
    .split('\n')
  const at = lines.findIndex(line => MARK.exec(line)?.[1] === by)
  const [, , sum, folders] = MARK.exec(lines[at] ?? '') ?? []
  if (sum === undefined) return undefined
  const text = lines.filter((_, i) => i !== at).join('\n')
  return { text, isEdited: sumOf(text) !== sum, folders: Number(folders) }
}

/** No secret, and no proof: it tells an edit from none. */
function sumOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
