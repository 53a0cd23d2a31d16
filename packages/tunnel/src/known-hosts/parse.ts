import { Reader } from '@keytool/keygen'

/** What the first word of a line may say about its key (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export type Marker = 'revoked' | 'cert-authority'

/** Whom a line is about: patterns as they stand, or one name hidden in an HMAC-SHA1. */
export type Hosts = { readonly patterns: readonly string[] } | { readonly salt: Buffer; readonly hash: Buffer }

/** One line that says something about a key. */
export interface Entry {
  /** Counted from 1. */
  readonly line: number
  readonly marker?: Marker
  readonly hosts: Hosts
  readonly keyType: string
  readonly blob: Buffer
  readonly comment: string
}

const markers: ReadonlyMap<string, Marker> = new Map([
  ['@revoked', 'revoked'],
  ['@cert-authority', 'cert-authority'],
])

/** Marker, hosts, type, key, comment. */
const LINE = /^(?:(@\S+)[ \t]+)?(\S+)[ \t]+(\S+)[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t]+(.*))?$/

/**
 * The entries of a known_hosts file. Comments, empty lines and lines that can't be understood give none; ssh passes
 * over them in the same way.
 * @param text the file as latin1, so that every byte is kept
 */
export function parseKnownHosts(text: string): Entry[] {
  return text.split('\n').flatMap((line, index) => parseLine(index === 0 ? withoutBom(line) : line, index + 1) ?? [])
}

function parseLine(text: string, line: number): Entry | undefined {
  const trimmed = text.trim()
  if (trimmed === '' || trimmed.startsWith('#')) return undefined
  const [, mark, hosts, keyType, base64, comment = ''] = LINE.exec(trimmed) ?? []
  if (hosts === undefined || keyType === undefined || base64 === undefined) return undefined
  const marker = mark === undefined ? undefined : markers.get(mark)
  if (mark !== undefined && !marker) return undefined
  const blob = Buffer.from(base64, 'base64')
  if (typeOfBlob(blob) !== keyType) return undefined
  const who = parseHosts(hosts)
  return who && { line, ...(marker && { marker }), hosts: who, keyType, blob, comment }
}

function parseHosts(field: string): Hosts | undefined {
  if (!field.startsWith('|')) return { patterns: field.split(',') }
  // `|1|salt|hash`, both 20 bytes in base64.
  const [, version, salt = '', hash = ''] = field.split('|')
  const bytes = { salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') }
  return version === '1' && bytes.hash.length === 20 && bytes.salt.length === 20 ? bytes : undefined
}

/** The type a blob names itself, whether it is in our table or not. */
export function typeOfBlob(blob: Uint8Array): string | undefined {
  try {
    return new Reader(blob).text(256)
  } catch {
    return undefined
  }
}

function withoutBom(line: string): string {
  return line.startsWith('\u00ef\u00bb\u00bf') ? line.slice(3) : line
}
