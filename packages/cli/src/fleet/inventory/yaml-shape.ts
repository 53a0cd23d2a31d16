import { InventoryError } from './inventory.js'
import { MAX_DEPTH } from './tree.js'

/** Far more than people write on one line, and few enough that the parser's work on it does not grow out of hand. */
const MAX_ON_LINE = 500

/** Tokens of the lexer's that stand for nothing in the text, but say of what comes next that it is a plain or block text. */
const TEXT_FOLLOWS = '\u001f'

/**
 * Refuses text that no inventory has and that the parser, which recurses and goes back, would take minutes and gigabytes for.
 * @param tokens of the library's lexer, whose time grows with the text alone
 * @throws InventoryError
 */
export function checkShape(tokens: Iterable<string>): void {
  let [depth, line, onLine] = [0, 1, 0]
  let isText = false
  for (const token of tokens) {
    onLine += 1
    if (onLine > MAX_ON_LINE) throw new InventoryError('there is too much on one line', line)
    if (!isText) {
      if (token === '[' || token === '{') depth += 1
      if (token === ']' || token === '}') depth = Math.max(0, depth - 1)
      if (depth > MAX_DEPTH) throw new InventoryError('it goes too deep', line)
    }
    isText = token === TEXT_FOLLOWS
    if (!token.includes('\n')) continue
    line += token.split('\n').length - 1
    onLine = 0
  }
}
