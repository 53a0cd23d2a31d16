import { showForeign } from '@keytool/keygen'

/** What means nothing to any shell. */
const PLAIN = /^[\w@%+=:,./-]+$/

/**
 * A path as one word of a command that somebody may type or paste: it comes from a server, and may be anything. `~/` stays as
 * it is, so that the shell finds the home. What can't be typed is shown escaped, and then does not name the file any more.
 */
export function wordOf(path: string): string {
  if (path === '~') return path
  const [, head = '', rest = path] = /^(~\/)(.*)$/s.exec(path) ?? []
  const shown = showForeign(rest)
  return PLAIN.test(shown) ? `${head}${shown}` : `${head}'${shown.replaceAll("'", `'\\''`)}'`
}
