/**
 * Words as Python's `shlex.split` has them, which Ansible reads lines and arguments with: quotes, backslashes, and a `#`
 * that begins a comment wherever it stands outside quotes.
 * @param comments whether `#` does that
 * @returns `undefined` where a quote is not closed or a backslash stands last
 */
export function splitWords(line: string, comments: boolean): string[] | undefined {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let i = 0; i < line.length; i++) {
    const c = line.charAt(i)
    if (quote !== '') {
      if (c === quote) quote = ''
      else if (c === '\\' && quote === '"') {
        i += 1
        if (i >= line.length) return undefined
        // Within double quotes a backslash is one unless it stands before these two.
        word += /["\\]/.test(line.charAt(i)) ? line.charAt(i) : `\\${line.charAt(i)}`
      } else word += c
    } else if (c === '"' || c === "'") {
      quote = c
      word ??= ''
    } else if (c === '\\') {
      i += 1
      if (i >= line.length) return undefined
      word = (word ?? '') + line.charAt(i)
    } else if (/[ \t\r\n]/.test(c)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (c === '#' && comments) {
      break
    } else {
      word = (word ?? '') + c
    }
  }
  if (quote !== '') return undefined
  if (word !== undefined) words.push(word)
  return words
}
