import type { Hop } from './draft.js'
import { isHarmlessHost, isHarmlessUser } from './valid.js'

/**
 * Reads ProxyJump: `[user@]host[:port]` or `ssh://[user@]host[:port]`, comma between; a comment may follow.
 * @param strict from the command line: names that mean something to a shell are refused, as ssh does
 * @returns the hosts in the order they are dialled
 * @throws SyntaxError
 */
export function readJump(text: string, strict: boolean): Hop[] {
  const list = text.replace(/#.*$/s, '').trimEnd()
  return list.split(',').map(part => {
    const hop = readHop(part.trim())
    if (strict && !isHarmlessHop(hop)) throw new SyntaxError('it has characters that mean something to a shell')
    return hop
  })
}

/** Whether nothing in it could be taken for more than a name. */
export function isHarmlessHop({ user, host }: Hop): boolean {
  return isHarmlessHost(host) && (user === undefined || isHarmlessUser(user))
}

/** As ssh takes it, an IPv6 address in brackets. */
export function formatHop({ user, host, port }: Hop): string {
  const name = host.includes(':') ? `[${host}]` : host
  return `${user === undefined ? '' : `${user}@`}${name}${port === undefined ? '' : `:${port}`}`
}

function readHop(text: string): Hop {
  const uri = /^ssh:\/\/(.*?)\/?$/s.exec(text)?.[1]
  const place = uri ?? text
  // A user's name may hold an @; in a URI it would be written %40.
  const at = uri === undefined ? place.lastIndexOf('@') : place.indexOf('@')
  const user = at === -1 ? undefined : place.slice(0, at)
  const [, inside, plain, port] = /^(?:\[([^\]]+)\]|([^:/[]+))(?::(\d{0,5}))?$/s.exec(place.slice(at + 1)) ?? []
  const host = inside ?? plain
  if (host === undefined || user === '') throw new SyntaxError('it is written [user@]host[:port]')
  const number = port ? Number(port) : undefined
  if (number !== undefined && !(number >= 1 && number <= 65535)) throw new SyntaxError('a port is 1 to 65535')
  return {
    ...(user !== undefined && { user: uri === undefined ? user : decode(user) }),
    host,
    ...(number !== undefined && { port: number }),
  }
}

function decode(user: string): string {
  try {
    // What stands behind a semicolon are parameters of the connection, which nobody uses.
    return decodeURIComponent(user.replace(/;.*$/s, ''))
  } catch {
    throw new SyntaxError('the percent signs in it do not fit')
  }
}
