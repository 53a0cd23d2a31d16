/** What the agent did or was asked to do. The last three are the ledger's own: see {@link LedgerEntry}. */
export type LedgerAction =
  | 'sign'
  | 'add'
  | 'remove'
  | 'remove-all'
  | 'reencrypt'
  | 'reencrypt-all'
  | 'lock'
  | 'unlock'
  | 'bind'
  | 'connect'
  | 'seal'
  | 'unseal'
  | 'expire'
  | 'policy'
  | 'start'
  | 'stop'
  | 'begin'
  | 'recover'
  | 'gap'

/**
 * The facts of one event; what is not known is left out. Texts may be foreign: they are kept as they are but for controls,
 * cut where they are too long, and have to be escaped before they are shown. There is no place for a secret.
 */
export interface LedgerEntry {
  /**
   * The ledger writes three kinds itself: `begin`, when a broken ledger was set aside; `recover`, when it goes on after an
   * agent that did not end by itself; `gap`, when entries could not be written.
   */
  readonly action: LedgerAction
  /** `refused` by a gate, `failed` for another reason. Absent where there was nothing to decide. */
  readonly verdict?: 'allowed' | 'refused' | 'failed'
  /** The key's fingerprint: `SHA256:…`. */
  readonly key?: string
  readonly comment?: string
  /** What people call the program that asked: `git`. */
  readonly program?: string
  /** What it asked through: `ssh`. */
  readonly via?: string
  readonly pid?: number
  readonly uid?: number
  /** Whom the login is for. */
  readonly user?: string
  /** Which host it is for, by its name or its key's fingerprint. */
  readonly host?: string
  /** Whether the agent was asked through a forwarded connection. */
  readonly forwarded?: boolean
  readonly purpose?: 'login' | 'unknown' | `sshsig:${string}`
  /** Why it was refused, failed, or came to be: one line. */
  readonly reason?: string
  /** How many entries are missing here. Only with `gap`. */
  readonly lost?: number
}

/** An entry as it stands in the ledger. */
export interface LedgerRecord extends LedgerEntry {
  /** From 1, without holes, over all files. */
  readonly n: number
  /** ISO 8601, UTC, with milliseconds. */
  readonly time: string
  /** SHA-256 of the line before, in hex. */
  readonly prev: string
}

/** The version of the format, which every line and the head begin with. */
export const VERSION = 1

/** Every fact in the order it is written, with its type; for a text how many characters are kept. */
const facts: Readonly<Record<keyof LedgerEntry, number | 'number' | 'boolean'>> = {
  action: 32,
  verdict: 16,
  key: 128,
  comment: 256,
  program: 128,
  via: 128,
  pid: 'number',
  uid: 'number',
  user: 128,
  host: 256,
  forwarded: 'boolean',
  purpose: 128,
  reason: 512,
  lost: 'number',
}
const names = Object.keys(facts) as (keyof LedgerEntry)[]

/** What JSON leaves raw, though a terminal that shows the file might act on it. */
const UNSAFE = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu
const IS_ASCII = /^[\x20-\x7e]*$/

/**
 * The line of an entry, without its end. It begins with version and number and ends with the hash of the line before, at
 * fixed places, so that a chain can be followed without parsing the rest.
 * @param prev 64 hex digits
 */
export function lineOf(entry: LedgerEntry, n: number, time: string, prev: string): string {
  const line: Record<string, unknown> = { v: VERSION, n, time }
  for (const name of names) {
    const value = entry[name]
    if (value === undefined) continue
    const cap = facts[name]
    line[name] = typeof cap === 'number' ? cut(String(value), cap) : value
  }
  line['prev'] = prev
  const text = JSON.stringify(line)
  return IS_ASCII.test(text) ? text : text.replace(UNSAFE, escapeUnits)
}

/** Undefined when the line is none of ours. Unknown members are left out. */
export function readRecord(line: string): LedgerRecord | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { v, n, time, prev, ...rest } = value as Record<string, unknown>
  if (v !== VERSION || typeof n !== 'number' || typeof time !== 'string' || typeof prev !== 'string') return undefined
  const record: Record<string, unknown> = { n, time }
  for (const name of names) {
    const wanted = typeof facts[name] === 'number' ? 'string' : facts[name]
    const type: string = typeof rest[name]
    if (type === wanted) record[name] = rest[name]
  }
  return record['action'] === undefined ? undefined : ({ ...record, prev } as unknown as LedgerRecord)
}

function cut(text: string, cap: number): string {
  if (text.length <= cap) return text
  // Not through the middle of a pair.
  const end = /[\ud800-\udbff]/.test(text.charAt(cap - 1)) ? cap - 1 : cap
  return `${text.slice(0, end)}…`
}

function escapeUnits(characters: string): string {
  let escaped = ''
  for (let i = 0; i < characters.length; i++) {
    escaped += `\\u${characters.charCodeAt(i).toString(16).padStart(4, '0')}`
  }
  return escaped
}
