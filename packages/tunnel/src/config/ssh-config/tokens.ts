import { createHash } from 'node:crypto'
import type { Environment } from '@keytool/agent/platform'

/** What `%h` and its like stand for, by letter. */
export type Tokens = Readonly<Record<string, string>>

export interface Expansion {
  /** Without them a percent sign is itself. */
  readonly tokens?: Tokens
  /** For `${NAME}`; without it a dollar sign is itself. */
  readonly env?: Environment
}

const TOKEN = '%(?<letter>.?)'
const VARIABLE = '\\$\\{(?<name>[^}]*)(?<end>\\}?)'

/**
 * Puts tokens and variables in (ssh_config(5), TOKENS and ENVIRONMENT VARIABLES). What was put in is not looked at again.
 * @throws SyntaxError for an unknown token, or a variable that has no value
 */
export function expand(text: string, { tokens, env }: Expansion): string {
  const pieces = [...(tokens ? [TOKEN] : []), ...(env ? [VARIABLE] : [])]
  if (pieces.length === 0) return text
  return text.replace(new RegExp(pieces.join('|'), 'gsu'), (...found) => {
    const { letter, name, end } = found.at(-1) as { letter?: string; name?: string; end?: string }
    if (letter !== undefined) return expandToken(letter, tokens ?? {})
    if (name === undefined || name === '' || end === '') throw new SyntaxError(`${found[0]} is no variable`)
    const value = env?.[name]
    if (value === undefined) throw new SyntaxError(`the variable ${name} has no value`)
    return value
  })
}

function expandToken(letter: string, tokens: Tokens): string {
  if (letter === '%') return '%'
  const value = Object.hasOwn(tokens, letter) ? tokens[letter] : undefined
  if (value === undefined) throw new SyntaxError(`%${letter} means nothing here`)
  return value
}

/** What tokens are made of. */
export interface Naming {
  readonly typedHost: string
  readonly host: string
  /** As a file says it, else the host. */
  readonly keyAlias: string
  readonly port: number
  readonly user: string
  readonly localUser: string
  readonly home: string
  readonly uid: number
  /** This machine, with its domain if it says it. */
  readonly thisHost: string
  /** The last host of ProxyJump, else empty. */
  readonly jumpHost: string
}

/** All tokens that most keywords take. */
export function tokensFor(naming: Naming): Tokens {
  const { typedHost: n, host: h, keyAlias: k, user: r, localUser: u, home: d, thisHost: l, jumpHost: j } = naming
  const [p, i] = [String(naming.port), String(naming.uid)]
  // %C is a name for a connection, not a protection: SHA-1 is what ssh names it with.
  const C = createHash('sha1').update(l).update(h).update(p).update(r).update(j).digest('hex')
  return { C, L: l.split('.')[0] ?? l, d, h, i, j, k, l, n, p, r, u }
}

/** The few that ProxyCommand and ProxyJump take. */
export function proxyTokens({ h = '', k = '', n = '', p = '', r = '' }: Tokens): Tokens {
  return { h, k, n, p, r }
}

/**
 * A path that begins with `~`, made whole.
 * @throws SyntaxError for the home of another user, which is not looked up
 */
export function expandTilde(path: string, home: string): string {
  if (!path.startsWith('~')) return path
  const [, after] = /^~\/+(.*)$/s.exec(path) ?? (path === '~' ? [path, ''] : [])
  if (after === undefined) throw new SyntaxError('the home of another user is not looked up: write the path out')
  return `${home.endsWith('/') ? home : `${home}/`}${after}`
}
