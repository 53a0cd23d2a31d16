import { isPlain, KeytoolError } from '@keytool/keygen'

/** One key of a registry export, and its values; numbers in decimal. */
export interface RegistryKey {
  readonly path: string
  readonly values: Map<string, string>
}

const HEADERS = /^\s*(?:Windows Registry Editor Version 5\.00|REGEDIT4)[^\S\n]*(?:\n|$)/

/** Whether a text is what regedit exports. */
export function isRegistry(text: string): boolean {
  return HEADERS.test(text)
}

/** A name in quotes or `@`, `=`, and a text in quotes, which may go on over lines, or the rest of the line. */
const VALUE =
  /(?:"((?:[^"\\]|\\[\s\S]){0,65536})"|@)[^\S\n]*=[^\S\n]*(?:"((?:[^"\\]|\\[\s\S]){0,65536})"|([^\s"][^\n]*|))[^\S\n]*(?:\n|$)/y
const KEY = /\[(-?)([^\n]*)\][^\S\n]*(?:\n|$)/y
const BLANK = /[^\S\n]*(?:;[^\n]*)?(?:\n|$)/y

/**
 * Reads a registry export (`Windows Registry Editor Version 5.00` or `REGEDIT4`): keys in the order of the file, of values
 * of one name the last. Keys and values that are to be deleted are passed over.
 * @param text with `\n` as line ends
 * @throws KeytoolError `damaged`, with the line, for what is no export
 */
export function readRegistry(text: string): RegistryKey[] {
  const header = HEADERS.exec(text)
  if (!header) throw new KeytoolError('damaged', 'it is no export of the registry')
  const keys: RegistryKey[] = []
  let values: Map<string, string> | undefined
  let at = header[0].length
  const take = (pattern: RegExp) => {
    pattern.lastIndex = at
    const found = pattern.exec(text)
    if (found) at = pattern.lastIndex
    return found
  }
  while (at < text.length) {
    const key = take(KEY)
    const value = key ? null : take(VALUE)
    if (key) {
      values = new Map()
      if (key[1] === '') keys.push({ path: key[2] ?? '', values })
    } else if (value) {
      const [, name = '', quoted, raw = ''] = value
      const content = quoted === undefined ? readData(joinLines(raw, take)) : unescapeText(quoted)
      if (content !== undefined) values?.set(unescapeText(name), content)
    } else if (!take(BLANK)) {
      throw new KeytoolError('damaged', `line ${lineAt(text, at)} of it is no line of a registry export`)
    }
  }
  return keys
}

const REST = /[^\n]*(?:\n|$)/y

/** Bytes go on in the next line after a backslash. */
function joinLines(first: string, take: (pattern: RegExp) => RegExpExecArray | null): string {
  const parts = [first]
  for (let line: string | undefined = first; line?.trimEnd().endsWith('\\'); ) {
    line = take(REST)?.[0]
    if (line) parts.push(line)
  }
  return parts.map(part => part.trim().replace(/\\$/, '')).join('')
}

/** Kinds of data that are text: REG_SZ, REG_EXPAND_SZ. */
const TEXT_KINDS = /^hex\(0*[12]\):/i

/** `dword:`, and texts written as bytes. Other data is none of PuTTY's: `undefined`. */
function readData(data: string): string | undefined {
  const number = /^dword:([\dA-Fa-f]{1,8})$/.exec(data.trim())?.[1]
  if (number !== undefined) return String(Number.parseInt(number, 16) | 0)
  if (!TEXT_KINDS.test(data)) return undefined
  const digits = data.replace(TEXT_KINDS, '').replace(/[\s,]/g, '')
  const text = new TextDecoder('utf-16le').decode(Buffer.from(digits, 'hex'))
  return text.replace(/\0+$/, '')
}

function unescapeText(text: string): string {
  return text.replace(/\\([\s\S])/g, '$1')
}

function lineAt(text: string, at: number): number {
  return text.slice(0, at).split('\n').length
}

/**
 * Writes a registry export as regedit does: UTF-16LE with its mark, CRLF. A number becomes a dword.
 * @throws KeytoolError `unsupported` for text that could break out of its line
 */
export function formatRegistry(
  keys: readonly { path: string; values: ReadonlyMap<string, string | number> }[],
): Buffer {
  const lines = ['Windows Registry Editor Version 5.00', '']
  for (const { path, values } of keys) {
    lines.push(`[${checkPlain(path)}]`)
    for (const [name, value] of values) lines.push(`${quote(name)}=${formatValue(value)}`)
    lines.push('')
  }
  return Buffer.from(`\ufeff${lines.join('\r\n')}\r\n`, 'utf16le')
}

function formatValue(value: string | number): string {
  return typeof value === 'string' ? quote(value) : `dword:${(value >>> 0).toString(16).padStart(8, '0')}`
}

function quote(text: string): string {
  return `"${checkPlain(text).replace(/[\\"]/g, '\\$&')}"`
}

function checkPlain(text: string): string {
  if (isPlain(text)) return text
  throw new KeytoolError('unsupported', "a text with control characters in it can't be exported")
}
