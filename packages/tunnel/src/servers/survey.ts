import {
  type AuthorizedKeyLine,
  findWeaknesses,
  fingerprint,
  type PublicKey,
  readAuthorizedKeys,
  splitKeyOptions,
  type Weakness,
} from '@keytool/keygen'
import { withSpelledKey } from './same-key.js'
import { readExpiry } from './survey-expiry.js'

/**
 * What can be said of one line of authorized_keys, beside what is wrong with its key.
 *
 * - `unknown` nobody here has this key
 * - `duplicate` the key stands on an earlier line, too
 * - `unreadable`, `passed-over` there is no key in it, or sshd does not take what stands in front of it: it lets nobody in
 * - `expired` it has let nobody in for some time
 * - `authority` it lets in whoever has a certificate by this key
 * - `unrestricted` from anywhere, for anything: neither from=, command= nor restrict
 */
export type LineCode = 'unknown' | 'duplicate' | 'unreadable' | 'passed-over' | 'expired' | 'authority' | 'unrestricted'

/** Something to be said of a line, in the words and grades of {@link Weakness}. Nothing in it is foreign. */
export interface LineFinding extends Omit<Weakness, 'code'> {
  readonly code: LineCode | Weakness['code']
}

/** One line of authorized_keys, judged. Comment and options come from the server: shown escaped only. */
export interface SurveyedLine {
  /** Counted from 1. */
  readonly line: number
  /** Absent where it can't be read, or is of a type that is not known here. */
  readonly key?: PublicKey
  /** `SHA256:…`, of all that have a blob. */
  readonly fingerprint?: string
  /** As the line names it. */
  readonly type?: string
  readonly comment: string
  readonly options: string
  /** Whether sshd lets the key in for it, its time apart. */
  readonly isHeeded: boolean
  /** The other way round: whether it lets in certificates by this key, and not the key. */
  readonly isAuthority: boolean
  /** What people here call the key; absent where nobody knows it. */
  readonly owner?: string
  /** The gravest first. */
  readonly findings: readonly LineFinding[]
}

export interface SurveyOptions {
  readonly now: Date
  /** What a key with this fingerprint is called here. Without it no key is `unknown`. */
  readonly ownerOf?: ((fingerprint: string) => string | undefined) | undefined
}

/** Any of these makes a key good for less than its user's whole account. */
const NARROWING: ReadonlySet<string> = new Set(['from', 'command', 'restrict'])
const grades: readonly Weakness['severity'][] = ['broken', 'weak', 'note']
/** The same key may stand on thousands of lines. */
type Judged = Map<string, readonly Weakness[]>

/**
 * Judges every line of an authorized_keys file that has a key, or should.
 * @throws KeytoolError `damaged` for a file that is no text, or has more lines than any real one
 */
export async function surveyKeys(bytes: Buffer, options: SurveyOptions): Promise<readonly SurveyedLine[]> {
  const judged: Judged = new Map()
  const first = new Map<string, AuthorizedKeyLine>()
  const surveyed: SurveyedLine[] = []
  for (const line of readAuthorizedKeys(bytes).map(withSpelledKey)) {
    const { blob } = line
    const print = blob && fingerprint(line.key ?? { blob })
    const isAuthority = splitKeyOptions(line.options)?.some(({ name }) => name === 'cert-authority') ?? false
    const name = print && `${isAuthority} ${print}`
    const before = name === undefined ? undefined : first.get(name)
    if (name !== undefined && !before && line.heeded) first.set(name, line)
    const owner = print === undefined ? undefined : options.ownerOf?.(print)
    const weaknesses = line.key && print ? await judge(print, line.key, judged) : []
    const findings = [
      ...weaknesses,
      ...aboutLine(line, { before, isAuthority, isKnown: !options.ownerOf || owner !== undefined, now: options.now }),
    ]
    surveyed.push({
      line: line.line,
      ...(line.key && { key: line.key }),
      ...(print !== undefined && { fingerprint: print }),
      ...(line.type !== undefined && { type: line.type }),
      ...{ comment: line.comment, options: line.options, isHeeded: isHeeded(line), isAuthority },
      ...(owner !== undefined && { owner }),
      findings: findings.sort((a, b) => grades.indexOf(a.severity) - grades.indexOf(b.severity)),
    })
  }
  return surveyed
}

async function judge(print: string, key: PublicKey, judged: Judged): Promise<readonly Weakness[]> {
  const known = judged.get(print)
  if (known) return known
  const found = await findWeaknesses(key)
  judged.set(print, found)
  // A hostile file has thousands of large keys: others get their turn between them.
  await new Promise(setImmediate)
  return found
}

interface Around {
  readonly before: AuthorizedKeyLine | undefined
  readonly isAuthority: boolean
  readonly isKnown: boolean
  readonly now: Date
}

function aboutLine(line: AuthorizedKeyLine, { before, isAuthority, isKnown, now }: Around): LineFinding[] {
  const { blob, options } = line
  if (!blob) return [unreadable(line)]
  if (!isHeeded(line)) return [passedOver]
  const found: LineFinding[] = []
  if (isExpired(options, now)) found.push(expired)
  else {
    if (isAuthority) found.push(authority)
    else if (!isNarrowed(options)) found.push(unrestricted)
    if (!isKnown) found.push(unknown)
  }
  if (before) found.push(duplicate(before, options))
  return found
}

/** As sshd does: it looks into the times, too. */
function isHeeded({ heeded, options }: AuthorizedKeyLine): boolean {
  return heeded && timesOf(options).every(time => readExpiry(time) !== undefined)
}

function isExpired(options: string, now: Date): boolean {
  return timesOf(options).some(time => (readExpiry(time) ?? now) < now)
}

function timesOf(options: string): string[] {
  return (splitKeyOptions(options) ?? []).flatMap(({ name, value }) =>
    name === 'expiry-time' && value !== undefined ? [value] : [],
  )
}

function isNarrowed(options: string): boolean {
  return splitKeyOptions(options)?.some(({ name }) => NARROWING.has(name)) ?? false
}

const passedOver: LineFinding = {
  code: 'passed-over',
  severity: 'weak',
  text: 'sshd passes this line over: it does not take what stands in front of the key',
  hint: 'mend its options, or take the line out',
}

const expired: LineFinding = {
  code: 'expired',
  severity: 'note',
  text: 'its expiry-time is over: it lets nobody in',
  hint: 'take the line out',
}

const authority: LineFinding = {
  code: 'authority',
  severity: 'note',
  text: 'it is an authority: whoever has a certificate by it is let in',
}

const unrestricted: LineFinding = {
  code: 'unrestricted',
  severity: 'note',
  text: 'it is let in from anywhere, for anything',
  hint: 'from="…" before the key says from where, restrict and command="…" what for',
}

const unknown: LineFinding = {
  code: 'unknown',
  severity: 'weak',
  text: 'nobody here has this key',
  hint: 'find out whose it is; list the keys of others in a file for --known, and take the line out if it is nobody’s',
}

function duplicate(before: AuthorizedKeyLine, options: string): LineFinding {
  if (before.options === options) {
    return { code: 'duplicate', severity: 'note', text: `it stands on line ${before.line}, too` }
  }
  return {
    code: 'duplicate',
    severity: 'weak',
    text: `it stands on line ${before.line}, too, with other options: the first line that lets it in counts`,
    hint: 'keep the one that is meant',
  }
}

function unreadable({ error }: AuthorizedKeyLine): LineFinding {
  return {
    code: 'unreadable',
    severity: 'weak',
    text: `there is no key that can be read: ${error?.message ?? 'it is damaged'}`,
    hint: 'mend the line, or take it out',
  }
}
