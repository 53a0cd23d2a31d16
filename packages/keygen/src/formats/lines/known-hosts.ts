import { damagedAt } from '../../error.js'
import { decodeBase64 } from '../armor.js'
import { decodeField, findKey, type KeyLine, type LineOptions, lineWithoutKey, readKeyLine } from './key.js'
import { isIdle, skipBlanks, splitLines, type TextLine } from './text.js'

/** What the first word of a line may say about its key (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export type HostMarker = 'revoked' | 'cert-authority'

/** Whom a line is about: patterns as they stand, or one name hidden in an HMAC-SHA1 under the salt. */
export type Hosts = { readonly patterns: readonly string[] } | { readonly salt: Buffer; readonly hash: Buffer }

/** A line of known_hosts that says something about a key, or should. */
export interface KnownHostLine extends KeyLine {
  readonly marker?: HostMarker
  /** As they stand on the line; empty where the line has no key. */
  readonly hostsText: string
  /** Absent where the line has no key, or a hash that is damaged. */
  readonly hosts?: Hosts
}

const markers: ReadonlyMap<string, HostMarker> = new Map([
  ['@revoked', 'revoked'],
  ['@cert-authority', 'cert-authority'],
])

/** Of a hashed name's salt and hash, in bytes: SHA-1's. */
const HASH = 20

/**
 * The lines of a known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT), without blank ones and comments. A line that can't
 * be read, SSH-1's among them, is there with its error.
 * @throws KeytoolError `damaged` for a file that is no text
 */
export function readKnownHosts(bytes: Buffer, options?: LineOptions): KnownHostLine[] {
  const found: KnownHostLine[] = []
  for (const line of splitLines(bytes)) if (!isIdle(line)) found.push(readLine(line, options))
  return found
}

function readLine(line: TextLine, options?: LineOptions): KnownHostLine {
  const { text, offset } = line
  const start = skipBlanks(text, 0)
  const word = wordAt(text, start)
  const marker = markers.get(word)
  if (word.startsWith('@') && !marker) return { ...lineWithoutKey(line, 'an unknown marker'), hostsText: '' }
  const hostsAt = marker ? skipBlanks(text, start + word.length) : start
  const hostsText = marker ? wordAt(text, hostsAt) : word
  const found = findKey(line, skipBlanks(text, hostsAt + hostsText.length))
  if (!found) return { ...readKeyLine(line, undefined), ...(marker && { marker }), hostsText: '' }
  const hosts = parseHosts(hostsText)
  const shown = { ...(marker && { marker }), hostsText: decodeField(hostsText) }
  if (hosts) return { ...readKeyLine(line, found, options), ...shown, hosts }
  const error = damagedAt('a hashed host name is damaged', offset + hostsAt)
  return { line: line.number, type: found.type, error, comment: found.comment, ...shown }
}

/** `undefined` for a hash that is none: `|1|salt|hash`, both in base64, is the only kind there is. */
function parseHosts(field: string): Hosts | undefined {
  if (!field.startsWith('|')) return { patterns: decodeField(field).split(',') }
  const [, version, salt = '', hash = '', more] = field.split('|')
  if (version !== '1' || more !== undefined) return undefined
  try {
    const bytes = { salt: decodeBase64(salt, 0), hash: decodeBase64(hash, 0) }
    return bytes.salt.length === HASH && bytes.hash.length === HASH ? bytes : undefined
  } catch {
    return undefined
  }
}

function wordAt(text: string, from: number): string {
  let end = from
  while (end < text.length && text.charAt(end) !== ' ' && text.charAt(end) !== '\t') end++
  return text.slice(from, end)
}
