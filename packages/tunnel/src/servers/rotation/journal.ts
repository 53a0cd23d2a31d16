import { isPlain, KeytoolError, type PublicKey, readPublicLines, showForeign } from '@keytool/keygen'
import { checkHost, checkPort } from '../../sessions/target.js'
import { MAX_LINES, type OldLine } from './lines.js'
import { type HostState, hostStates } from './states.js'

const VERSION = 1
/** What is larger is no journal of ours. In bytes. */
export const MAX_JOURNAL: number = 64 * 1024 * 1024
const MAX_HOSTS = 10_000
const MAX_WORD = 4096
/** As large as the file that they come from may be. */
const MAX_LINE = 1 << 20

/** What is known of one host. */
export interface HostRecord {
  /** User, host, port, and the way there: the same for every word that leads to it. */
  readonly id: string
  /** What was typed, or stood in a file of hosts. */
  readonly word: string
  readonly host: string
  readonly port: number
  readonly user: string
  /** What was said of the way there: flags of the command line, by their long names. */
  readonly reach: Readonly<Record<string, string | readonly string[]>>
  readonly state: HostState
  /** The file on the server. */
  readonly path?: string
  /** The old key's lines, its options with them, as they stood before they were removed. */
  readonly old: readonly OldLine[]
  /** Lines of the new key that were there before the rotation. */
  readonly before: readonly string[]
  /** Lines of the new key that are the rotation's own. */
  readonly added: readonly string[]
}

/** One of the two keys. Nothing of it is secret. */
export interface RotatedKey {
  /** As it stands in a `.pub`. */
  readonly line: string
  /** Its file, where one was named: absolute. */
  readonly file?: string
}

/** What follows the keys here, as it was before. */
export interface Followed {
  /** Saved sessions whose `key` was rewritten, with what it was. */
  readonly sessions: readonly { readonly name: string; readonly key: string }[]
  /** The rule of agent.json that was rewritten, as JSON text. */
  readonly rule?: string
}

/** A rotation from one key to another, as it stands in its file. */
export interface Journal {
  readonly version: 1
  readonly old: RotatedKey
  readonly new: RotatedKey
  /** ISO 8601. */
  readonly since: string
  /** When nothing was left to be done, here and there: ISO 8601. Kept from then on for taking it back. */
  readonly finished?: string
  readonly hosts: readonly HostRecord[]
  readonly followed: Followed
}

/**
 * The journal in a file, every field checked.
 * @throws KeytoolError `unsupported` for a newer version, `damaged` naming the field for everything else
 */
export function parseJournal(bytes: Buffer, path: string): Journal {
  try {
    return readJournal(JSON.parse(bytes.toString('utf8')))
  } catch (error) {
    if (error instanceof KeytoolError && error.code === 'unsupported') {
      throw new KeytoolError('unsupported', `${path}: ${error.message}`, {
        ...(error.reason !== undefined && { reason: error.reason }),
        cause: error,
      })
    }
    const reason = error instanceof KeytoolError ? error.message : 'it is no JSON'
    throw new KeytoolError('damaged', `${path} is no journal of a rotation`, {
      reason: `${reason}; it is left as it is`,
      hint: 'what it knew of lines that were removed may still be read in it by eye; then move it away',
      cause: error,
    })
  }
}

export function formatJournal(journal: Journal): Buffer {
  return Buffer.from(`${JSON.stringify(journal, null, 2)}\n`)
}

/**
 * What is about to be written instead, as far as it differs: what could be written but never read again would be in the way
 * of all hosts.
 * @throws KeytoolError `damaged`
 */
export function checkChange(before: Journal, after: Journal): void {
  const { hosts, ...others } = after
  const known = new Set(before.hosts)
  for (const [index, host] of hosts.entries()) if (!known.has(host)) readHost(host, `hosts[${index}]`)
  if (hosts.length > MAX_HOSTS) throw wrong('hosts')
  checkIds(hosts)
  readJournal({ ...others, hosts: [] })
}

/** The public key of a journal's line. */
export function keyIn({ line }: RotatedKey): PublicKey {
  const [key, second] = readPublicLines(Buffer.from(line))
  if (key && !second && !key.algorithm.certifies) return key
  throw wrong('key')
}

type Fields = Readonly<Record<string, unknown>>

function readJournal(value: unknown): Journal {
  const fields = objectOf(value, 'the whole')
  const { version } = fields
  if (typeof version === 'number' && Number.isInteger(version) && version > VERSION) {
    throw new KeytoolError('unsupported', `the journal has version ${version}, made by a newer program`, {
      reason: `versions up to ${VERSION} are understood here; it is left as it is`,
    })
  }
  if (version !== VERSION) throw wrong('version')
  const { finished } = fields
  const hosts = listOf(fields['hosts'], 'hosts', MAX_HOSTS, readHost)
  checkIds(hosts)
  return {
    ...{ version, hosts },
    old: readKey(fields['old'], 'old'),
    new: readKey(fields['new'], 'new'),
    since: timeIn(fields['since'], 'since'),
    ...(finished !== undefined && { finished: timeIn(finished, 'finished') }),
    followed: readFollowed(fields['followed']),
  }
}

function checkIds(hosts: readonly HostRecord[]): void {
  if (new Set(hosts.map(({ id }) => id)).size < hosts.length) throw wrong('hosts: one of them twice')
}

function readKey(value: unknown, at: string): RotatedKey {
  const { line, file } = objectOf(value, at)
  const key = { line: textIn(line, `${at}.line`, MAX_LINE) }
  keyIn(key)
  return { ...key, ...(file !== undefined && { file: textIn(file, `${at}.file`, MAX_WORD) }) }
}

function readHost(value: unknown, at: string): HostRecord {
  const { id, word, host, port, user, reach, state, path, old, before, added } = objectOf(value, at)
  const known = hostStates.find(each => each === state)
  if (known === undefined) throw wrong(`${at}.state`)
  const line = (each: unknown, place: string) => lineIn(each, place, false)
  return {
    id: textIn(id, `${at}.id`, 8 * MAX_WORD),
    word: textIn(word, `${at}.word`, MAX_WORD),
    host: checkHost(textIn(host, `${at}.host`, MAX_WORD)),
    port: checkPort(typeof port === 'number' ? port : Number.NaN),
    user: textIn(user, `${at}.user`, MAX_WORD),
    reach: readReach(reach, `${at}.reach`),
    state: known,
    ...(path !== undefined && { path: textIn(path, `${at}.path`, MAX_WORD, false) }),
    old: listOf(old, `${at}.old`, MAX_LINES, readOldLine),
    before: listOf(before, `${at}.before`, MAX_LINES, line),
    added: listOf(added, `${at}.added`, MAX_LINES, line),
  }
}

function readOldLine(value: unknown, at: string): OldLine {
  const { line, text, above } = objectOf(value, at)
  if (typeof line !== 'number' || !Number.isInteger(line) || line < 1) throw wrong(`${at}.line`)
  if (typeof above !== 'string' || !/^([0-9a-f]{16})?$/.test(above)) throw wrong(`${at}.above`)
  return { line, text: lineIn(text, `${at}.text`, true), above }
}

/** A line as latin1. What goes back to a server is one line, whoever wrote the journal. */
function lineIn(value: unknown, at: string, mayEnd: boolean): string {
  if (typeof value !== 'string' || value.length > MAX_LINE) throw wrong(at)
  const text = mayEnd && value.endsWith('\n') ? value.slice(0, -1) : value
  if (/^[^\n\0\u0100-\uffff]+$/.test(text)) return value
  throw wrong(at)
}

function readReach(value: unknown, place: string): HostRecord['reach'] {
  const fields = objectOf(value, place)
  return Object.fromEntries(
    Object.entries(fields).map(([name, each]) => {
      if (!/^[a-z]{1,16}$/.test(name)) throw wrong(place)
      const at = `${place}.${name}`
      return [name, Array.isArray(each) ? listOf(each, at, 256, readWord) : readWord(each, at)]
    }),
  )
}

function readFollowed(value: unknown): Followed {
  const { sessions, rule } = objectOf(value, 'followed')
  return {
    sessions: listOf(sessions, 'followed.sessions', MAX_HOSTS, (each, at) => {
      const { name, key } = objectOf(each, at)
      return { name: textIn(name, `${at}.name`, 64), key: textIn(key, `${at}.key`, MAX_WORD) }
    }),
    ...(rule !== undefined && { rule: textIn(rule, 'followed.rule', MAX_LINE, false) }),
  }
}

function timeIn(value: unknown, at: string): string {
  if (typeof value === 'string' && value.length <= 64 && !Number.isNaN(Date.parse(value))) return value
  throw wrong(at)
}

function readWord(value: unknown, at: string): string {
  return textIn(value, at, MAX_WORD)
}

/** @param isPlainText whether it has to be such as can be shown as it is; else it is escaped wherever it is shown */
function textIn(value: unknown, at: string, most: number, isPlainText = true): string {
  if (typeof value === 'string' && value !== '' && value.length <= most && (!isPlainText || isPlain(value)))
    return value
  throw wrong(at)
}

function listOf<T>(value: unknown, at: string, most: number, read: (each: unknown, at: string) => T): T[] {
  if (!Array.isArray(value) || value.length > most) throw wrong(at)
  return value.map((each, index) => read(each, `${at}[${index}]`))
}

function objectOf(value: unknown, at: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw wrong(at)
}

function wrong(at: string): KeytoolError {
  return new KeytoolError('damaged', `${showForeign(at, 80)} is not as it should be`)
}
