import { tryBase64 } from './base64.js'
import { decodeField, findKey, type KeyLine, type LineOptions, readKeyLine } from './key.js'
import { endOfWord, readEntries, skipBlanks, type TextLine } from './text.js'
import { troubles } from './trouble.js'

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
 * be read, SSH-1's among them, is there with its error; with `blobsOnly` it is passed over.
 * @throws KeytoolError `damaged` for a file that is no text, or has more lines than any real one
 */
export function readKnownHosts(bytes: Buffer, options: LineOptions = {}): KnownHostLine[] {
  return readEntries(bytes, line => {
    const entry = readLine(line, options)
    return options.blobsOnly && !entry.blob ? undefined : entry
  })
}

function readLine(line: TextLine, options: LineOptions): KnownHostLine {
  const { text, number } = line
  const start = skipBlanks(text, 0)
  const word = wordAt(text, start)
  const marker = markers.get(word)
  if (word.startsWith('@') && !marker) return { line: number, error: troubles.marker, comment: '', hostsText: '' }
  const hostsAt = marker ? skipBlanks(text, start + word.length) : start
  const hostsText = marker ? wordAt(text, hostsAt) : word
  const found = findKey(line, skipBlanks(text, hostsAt + hostsText.length))
  const marked = marker && { marker }
  if (!found) return { line: number, error: troubles.none, comment: '', ...marked, hostsText: '' }
  const hosts = parseHosts(hostsText)
  const shown = { ...marked, hostsText: decodeField(hostsText) }
  if (hosts) return { ...readKeyLine(line, found, options), ...shown, hosts }
  return { line: number, type: found.type, error: troubles.hash, comment: found.comment, ...shown }
}

/** `undefined` for a hash that is none: `|1|salt|hash`, both in base64, is the only kind there is. */
function parseHosts(field: string): Hosts | undefined {
  if (!field.startsWith('|')) return { patterns: decodeField(field).split(',') }
  const [, version, saltText = '', hashText = '', more] = field.split('|', 5)
  if (version !== '1' || more !== undefined) return undefined
  const salt = tryBase64(saltText)
  const hash = tryBase64(hashText)
  return salt?.length === HASH && hash?.length === HASH ? { salt, hash } : undefined
}

function wordAt(text: string, from: number): string {
  return text.slice(from, endOfWord(text, from))
}
