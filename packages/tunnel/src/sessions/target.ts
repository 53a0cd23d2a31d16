import { isIPv6 } from 'node:net'
import { isPlain, KeytoolError, showForeign } from '@keytool/keygen'

/** Where to go, as far as the user said it. */
export interface Target {
  readonly user?: string
  /** A name or an address; IPv6 without brackets. As it was typed. */
  readonly host: string
  /** 1 to 65535. */
  readonly port?: number
}

const MAX_HOST = 255
const MAX_USER = 255

/**
 * Reads a destination as ssh takes it: `[USER@]HOST` or `ssh://[USER@]HOST[:PORT]`. In the first form a colon belongs to
 * an IPv6 address, which may stand in brackets; a port is given by itself.
 * @throws KeytoolError `usage`
 */
export function parseTarget(text: string): Target {
  const url = /^ssh:\/\/(.*?)\/?$/i.exec(text)?.[1]
  const rest = url ?? text
  const at = rest.lastIndexOf('@')
  const user = at === -1 ? undefined : url === undefined ? rest.slice(0, at) : decode(text, rest.slice(0, at))
  const [host, port] = splitPort(text, rest.slice(at + 1), url !== undefined)
  try {
    return {
      ...(user !== undefined && { user: checkUser(user) }),
      host: checkHost(host),
      ...(port !== undefined && { port: checkPort(Number(port)) }),
    }
  } catch (cause) {
    throw bad(text, cause instanceof KeytoolError ? cause.message : String(cause), cause)
  }
}

/** The host, if it can be one: no option, no control characters, nothing a shell or a file could take for more. */
export function checkHost(host: string): string {
  if (host === '') throw new KeytoolError('usage', 'the host is missing')
  if (host.startsWith('-')) throw new KeytoolError('usage', 'a host does not begin with -')
  if (host.length > MAX_HOST || !isPlain(host) || !/^[^\s,*?!@#'"`\\/$;|&<>(){}[\]]+$/.test(host)) {
    throw new KeytoolError('usage', `${JSON.stringify(showForeign(host, 64))} is no name of a host`)
  }
  if (host.includes(':') && !isIPv6(host)) {
    throw new KeytoolError('usage', `${showForeign(host, 64)} is no IPv6 address`, { hint: 'give the port with -p' })
  }
  return host
}

/** The user's name, if it can be one. Spaces and backslashes may stand in it: domain accounts have them. */
export function checkUser(user: string): string {
  if (user === '') throw new KeytoolError('usage', 'the user is missing')
  if (user.startsWith('-')) throw new KeytoolError('usage', 'a user does not begin with -')
  if (user.length > MAX_USER || !isPlain(user) || /['"`$;|&<>(){}]/.test(user)) {
    throw new KeytoolError('usage', `${JSON.stringify(showForeign(user, 64))} is no name of a user`)
  }
  return user
}

/** The port of a server: 1 to 65535. */
export function checkPort(port: number): number {
  if (Number.isInteger(port) && port >= 1 && port <= 65535) return port
  throw new KeytoolError('usage', 'a port is a number from 1 to 65535')
}

function splitPort(text: string, place: string, mayHavePort: boolean): [string, string | undefined] {
  const [whole, inside, port] = /^\[([^\][]*)\](?::(\d{1,5}))?$/.exec(place) ?? []
  if (whole !== undefined && inside !== undefined) {
    if (!isIPv6(inside)) throw bad(text, 'only an IPv6 address stands in brackets')
    if (port !== undefined && !mayHavePort) throw bad(text, 'the port is given with -p')
    return [inside, port]
  }
  const [, host, after] = (mayHavePort && /^([^:]*):(\d{1,5})$/.exec(place)) || []
  return host === undefined ? [place, undefined] : [host, after]
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw bad(text, 'the percent signs in it do not fit')
  }
}

function bad(text: string, reason: string, cause?: unknown): KeytoolError {
  const hint = cause instanceof KeytoolError ? cause.hint : undefined
  return new KeytoolError('usage', `${JSON.stringify(showForeign(text, 80))} is no destination`, {
    reason,
    hint: hint ?? 'it is written [USER@]HOST or ssh://[USER@]HOST[:PORT]',
    cause,
  })
}
