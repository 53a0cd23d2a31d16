import type { Scalar } from './value.js'

/**
 * A value of an INI inventory: Python's literals are read as such, everything else is text as it stands. A list, map or
 * tuple is `undefined`.
 */
export function readLiteral(text: string): Scalar | undefined {
  const stripped = text.replace(/^[ \t]+/, '')
  for (const [pattern, read] of literals) {
    const found = pattern.exec(stripped)
    if (found) return read(found)
  }
  return /^[[({](?!\{)/.test(stripped) && /[\])}]\s*(#.*)?$/.test(stripped) ? undefined : text
}

/** Behind a literal Python takes blanks and a comment. */
const END = '[ \\t]*(?:#.*)?$'

const literals: readonly (readonly [pattern: RegExp, read: (found: RegExpExecArray) => Scalar])[] = [
  [new RegExp(`^(?:True|False)${END}`), ([text]) => text.startsWith('True')],
  [new RegExp(`^None${END}`), () => null],
  [new RegExp(`^([+-]?)((?:0(?:_?0)*)|[1-9](?:_?\\d)*)${END}`), ([, sign, digits = '']) => toNumber(sign, digits)],
  [
    new RegExp(`^([+-]?)(0[xX](?:_?[0-9a-fA-F])+|0[oO](?:_?[0-7])+|0[bB](?:_?[01])+)${END}`),
    ([, sign, digits = '']) => toNumber(sign, digits),
  ],
  [new RegExp(`^'((?:[^'\\\\]|\\\\.)*)'${END}`), ([, inside = '']) => readEscapes(inside)],
  [new RegExp(`^"((?:[^"\\\\]|\\\\.)*)"${END}`), ([, inside = '']) => readEscapes(inside)],
]

function toNumber(sign = '', digits: string): bigint {
  const size = BigInt(digits.replaceAll('_', ''))
  return sign === '-' ? -size : size
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '\\': '\\', "'": "'", '"': '"' }

/** The common ones. Others stay as they are, and a name with a backslash in it is refused where it can't be one. */
function readEscapes(text: string): string {
  return text.replace(/\\(.)/g, (whole, c: string) => escapes[c] ?? whole)
}
