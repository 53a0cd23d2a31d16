import { KeytoolError, showForeign } from '@keytool/keygen'
import { checkPort, parseTarget, type Target } from '@keytool/tunnel'
import type { ListedHost } from './host.js'
import { InventoryError } from './inventory.js'

const MAX_HOSTS = 10_000

/**
 * Reads a plain list: `[user@]host[:port]`, `ssh://…` or a saved session on each line, and comments behind `#`.
 * @throws InventoryError
 */
export function readList(lines: readonly string[]): ListedHost[] {
  const hosts = new Map<string, ListedHost>()
  for (const [index, text] of lines.entries()) {
    const line = index + 1
    const word = text.replace(/(^|\s)#.*$/s, '').trim()
    if (word === '' || hosts.has(word)) continue
    if (hosts.size >= MAX_HOSTS) throw new InventoryError(`it has more than ${MAX_HOSTS} hosts`, line)
    hosts.set(word, { word, ...readWord(word, line), line })
  }
  return [...hosts.values()]
}

/** Nothing but the word itself where it may be a session or an alias. */
function readWord(word: string, line: number): Partial<Target> {
  try {
    if (/\s/.test(word)) throw new KeytoolError('usage', 'one host a line')
    const [, place, port] = /^([^:[\]]+|(?:[^@]*@)?\[[^[\]]*\]):(\d{1,5})$/.exec(word) ?? []
    const target = parseTarget(place ?? word)
    if (port !== undefined) return { ...target, port: checkPort(Number(port)) }
    return target.host === word ? {} : target
  } catch (error) {
    if (!(error instanceof KeytoolError)) throw error
    const why = error.reason ?? error.message
    throw new InventoryError(`${JSON.stringify(showForeign(word, 64))} is no host: ${why}`, line)
  }
}
