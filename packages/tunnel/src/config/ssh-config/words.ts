/** What separates words (readconf.c): `argv_split` knows the first two only. */
const BLANKS = /^[ \t\r\n]+/

/** One line: its keyword in small letters, and the rest as it stands. */
export interface KeywordLine {
  readonly keyword: string
  readonly rest: string
}

/**
 * Finds the keyword: `Keyword value`, `Keyword=value`, `Keyword = value`, and quotes even here.
 * @returns `undefined` for a blank line or a comment
 * @throws SyntaxError when a quote is left open
 */
export function splitKeyword(line: string): KeywordLine | undefined {
  // A form feed counts as a blank at the end of a line only.
  const text = line.replace(/[ \t\r\n\f]+$/, '').replace(BLANKS, '')
  if (text === '' || text.startsWith('#')) return undefined
  let [keyword, rest] = cutWord(text)
  if (keyword === '') [keyword, rest] = cutWord(rest)
  if (keyword === '' || keyword.startsWith('#')) return undefined
  return { keyword: keyword.toLowerCase(), rest }
}

/** The first word and what follows it; one `=` between them is a separator, too. */
function cutWord(text: string): [word: string, rest: string] {
  const at = text.search(/[ \t\r\n"=]/)
  if (at === -1) return [text, '']
  if (text[at] === '"') {
    const end = text.indexOf('"', at + 1)
    if (end === -1) throw new SyntaxError('a quote is left open')
    return [text.slice(0, at) + text.slice(at + 1, end), text.slice(end + 1).replace(BLANKS, '')]
  }
  const rest = text.slice(at + 1).replace(BLANKS, '')
  const skipsEquals = text[at] !== '=' && rest.startsWith('=')
  return [text.slice(0, at), skipsEquals ? rest.slice(1).replace(BLANKS, '') : rest]
}

/**
 * Splits arguments: single and double quotes, a backslash before a quote, a backslash, or (outside quotes) a blank, and
 * a comment at the start of a word.
 * @throws SyntaxError when a quote is left open
 */
export function splitArguments(text: string): string[] {
  const words: string[] = []
  for (let at = 0; at < text.length; ) {
    const character = text[at]
    if (character === ' ' || character === '\t') {
      at++
      continue
    }
    if (character === '#') break
    const [word, end] = readWord(text, at)
    words.push(word)
    at = end
  }
  return words
}

function readWord(text: string, start: number): [word: string, end: number] {
  let word = ''
  let open: string | undefined
  let at = start
  for (; at < text.length; at++) {
    const character = text.charAt(at)
    const next = text.charAt(at + 1)
    if (character === '\\' && (/["'\\]/.test(next) || (open === undefined && next === ' '))) {
      word += next
      at++
    } else if (open === undefined && (character === ' ' || character === '\t')) {
      break
    } else if (open === undefined && (character === '"' || character === "'")) {
      open = character
    } else if (character === open) {
      open = undefined
    } else {
      word += character
    }
  }
  if (open !== undefined) throw new SyntaxError('a quote is left open')
  return [word, at]
}
