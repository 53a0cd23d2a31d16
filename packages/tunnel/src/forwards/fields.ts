import { isIPv6 } from 'node:net'
import { isPlain } from '@keytool/keygen'

/** A part of a forward between colons. */
export interface Field {
  /** Without brackets and backslashes. */
  readonly text: string
  readonly form: 'plain' | 'address' | 'path'
}

/** What Linux has room for, in bytes. Which system the socket is to be on is not known here. */
const MAX_PATH = 107
const MAX_HOST = 255

/** An address in brackets, a path in which a backslash keeps the next character, or anything else without those. */
const FIELD = /^(?:\[([^\][]*)\]|(\/(?:[^\\:]|\\.)*)|((?!\/)[^:\][]*))(?=:|$)/u

/**
 * Splits at colons, as OpenSSH does: not within brackets, and in a path not behind a backslash.
 * @throws SyntaxError for brackets that do not fit, hold no IPv6 address, for a relative path, or a backslash that ends one
 */
export function splitFields(text: string): Field[] {
  const fields: Field[] = []
  let rest = text
  for (;;) {
    const [whole, address, path, plain = ''] = FIELD.exec(rest) ?? []
    if (whole === undefined) {
      throw new SyntaxError(rest.startsWith('/') ? 'that is no path' : 'the brackets do not fit')
    }
    if (address !== undefined && !isIPv6(address)) throw new SyntaxError('only an IPv6 address stands in brackets')
    if (address !== undefined) fields.push({ text: address, form: 'address' })
    else if (path !== undefined) fields.push({ text: path.replace(/\\(.)/gu, '$1'), form: 'path' })
    else if (plain.includes('/')) throw new SyntaxError("a socket's path begins with /")
    else fields.push({ text: plain, form: 'plain' })
    if (whole.length === rest.length) return fields
    rest = rest.slice(whole.length + 1)
  }
}

/** @throws SyntaxError when it can't be a host's name or address */
export function checkHostField({ text, form }: Field): string {
  if (text === '') throw new SyntaxError('the host is missing')
  if (form === 'path') throw new SyntaxError('a path stands where a host should')
  if (text.startsWith('-')) throw new SyntaxError('a host does not begin with -')
  if (text.length > MAX_HOST || !isPlain(text) || !/^[^\s,*?!@'"`\\$;|&<>(){}]+$/.test(text)) {
    throw new SyntaxError('that is no name of a host')
  }
  return text
}

/** @throws SyntaxError unless it is a number from `least` to 65535 */
export function readPortField({ text, form }: Field, least: number): number {
  const port = form === 'plain' && /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (port >= least && port <= 65535) return port
  throw new SyntaxError(`a port is a number from ${least} to 65535`)
}

/** @throws SyntaxError when no Unix socket can be there */
export function readPathField({ text }: Field): string {
  if (!isPlain(text)) throw new SyntaxError('a path has no control characters')
  if (text.endsWith('/')) throw new SyntaxError('that is the path of a folder')
  if (Buffer.byteLength(text) > MAX_PATH) throw new SyntaxError(`a socket's path has at most ${MAX_PATH} bytes`)
  return text
}
