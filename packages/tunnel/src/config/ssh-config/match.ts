import { matchesPattern } from '@keytool/keygen'
import type { Line } from './line.js'
import { quote } from './place.js'

/** What criteria are held against. */
export interface Subject {
  /** The host as far as it is known by now: HostName, if that was said. */
  readonly host: string
  readonly typedHost: string
  readonly user: string
  readonly localUser: string
  /** Empty without. */
  readonly tag: string
  readonly command: string
  /** The second pass, with the host's name settled. */
  readonly isFinal: boolean
}

export interface Verdict {
  /** `undefined`: it hangs on something that is not looked at here. */
  readonly matches: boolean | undefined
  /** Such as `match exec`. */
  readonly undecided?: string
  /** Asks for a second pass. */
  readonly wantsFinal: boolean
}

/** Criteria that can be decided: one row each. */
const CRITERIA: ReadonlyMap<string, (subject: Subject, argument: string) => boolean> = new Map([
  ['host', ({ host }, patterns) => matchesList(patterns.toLowerCase(), host.toLowerCase())],
  ['originalhost', ({ typedHost }, patterns) => matchesList(patterns.toLowerCase(), typedHost.toLowerCase())],
  ['user', ({ user }, patterns) => matchesList(patterns, user)],
  ['localuser', ({ localUser }, patterns) => matchesList(patterns, localUser)],
  ['tagged', ({ tag }, patterns) => (tag === '' ? patterns === '' : matchesList(patterns, tag))],
  ['command', ({ command }, patterns) => (command === '' ? patterns === '' : matchesList(patterns, command))],
])

const MAY_BE_EMPTY: readonly string[] = ['tagged', 'command']

/** A file must not start programs, and what is not known of the network or of ssh itself is not guessed. */
const UNDECIDED: readonly string[] = ['exec', 'localnetwork', 'version', 'sessiontype']

/**
 * Judges a Match line (ssh_config(5), Match). All criteria are checked, also behind one that fails.
 * @throws KeytoolError for one that is unknown or lacks its argument
 */
export function judgeMatch({ words }: Line, subject: Subject): Verdict {
  let matches = true
  let undecided: string | undefined
  let wantsFinal = false
  let criteria = 0
  for (let word = words.take(); word !== undefined && !word.startsWith('#'); word = words.take()) {
    const isNegated = word.startsWith('!')
    const [name, given] = splitCriterion(isNegated ? word.slice(1) : word)
    if (name === 'all') {
      const next = words.take()
      if (criteria > 1 || (next && !next.startsWith('#'))) throw words.fail('all stands alone')
      words.rest()
      return verdict(matches && !isNegated, undecided, wantsFinal)
    }
    criteria++
    if (name === 'final' || name === 'canonical') {
      if (name === 'final' && !isNegated) wantsFinal = true
      matches &&= subject.isFinal !== isNegated
      continue
    }
    const argument = given ?? words.take()
    if (argument === undefined || argument.startsWith('#') || (argument === '' && !MAY_BE_EMPTY.includes(name))) {
      throw words.fail(`${quote(name)} lacks what it is to match`)
    }
    const decide = CRITERIA.get(name)
    if (decide) matches &&= decide(subject, argument) !== isNegated
    else if (UNDECIDED.includes(name)) undecided ??= name
    else throw words.fail(`${quote(name)} is no criterion`)
  }
  words.rest()
  if (criteria === 0) throw words.fail('a criterion is missing')
  return verdict(matches, undecided, wantsFinal)
}

function verdict(matches: boolean, undecided: string | undefined, wantsFinal: boolean): Verdict {
  // What another criterion has ruled out already hangs on nothing.
  if (!matches || undecided === undefined) return { matches, wantsFinal }
  return { matches: undefined, undecided: `match ${undecided}`, wantsFinal }
}

/** `host=a,b` is one word. */
function splitCriterion(word: string): [name: string, argument: string | undefined] {
  const [, name, argument] = /^(\w+)=(.*)$/s.exec(word) ?? []
  return name === undefined ? [word.toLowerCase(), undefined] : [name.toLowerCase(), argument]
}

/** What `argv_split` leaves of a pattern list: commas between, `!` before one rules all out. Longer ones fit nothing. */
const MAX_PATTERN = 1022

export function matchesList(patterns: string, text: string): boolean {
  let found = false
  for (const pattern of patterns.split(',')) {
    const isNegated = pattern.startsWith('!')
    const bare = isNegated ? pattern.slice(1) : pattern
    if (bare.length > MAX_PATTERN) return false
    if (!matchesPattern(bare, text)) continue
    if (isNegated) return false
    found = true
  }
  return found
}

/** A Host line: patterns with blanks between, in the letters they are written in; `!` before one rules all out. */
export function judgeHost({ words }: Line, typedHost: string): boolean {
  const patterns = words.rest()
  if (patterns.length === 0 || patterns.includes('')) throw words.fail('a pattern is missing')
  let found = false
  for (const text of patterns) {
    const isNegated = text.startsWith('!')
    if (!matchesPattern(isNegated ? text.slice(1) : text, typedHost)) continue
    if (isNegated) return false
    found = true
  }
  return found
}
