import { matchesPattern } from '@keytool/keygen'
import { matchesList } from '../config/ssh-config/match.js'
import { splitArguments, splitKeyword } from '../config/ssh-config/words.js'

/** Lines in all, of a main file and those it includes. */
const MAX_LINES = 10_000

/** What sshd uses where no line says otherwise (sshd_config(5)). */
const defaults: ReadonlyMap<string, readonly string[]> = new Map([
  ['authorizedkeysfile', ['.ssh/authorized_keys', '.ssh/authorized_keys2']],
  ['pubkeyauthentication', ['yes']],
  ['strictmodes', ['yes']],
])

/** One setting as it holds for the account. */
export interface ServerSetting {
  readonly values: readonly string[]
  /** Where it stands; absent for sshd's own default. Foreign. */
  readonly from?: { readonly path: string; readonly line: number }
}

/** The server's settings as far as its user may read them. Foreign throughout. */
export interface ServerSettings {
  readonly user: string
  readonly home: string
  /** Files that this user may not read: what they say is not known. */
  readonly hidden: readonly string[]
  /** Whether any of them was shown. */
  readonly isSeen: boolean
  /** @param keyword in small letters */
  get(keyword: string): ServerSetting
}

interface SettingsFile {
  readonly path: string
  readonly lines: readonly string[]
}

interface Account {
  readonly user: string
  readonly groups: readonly string[]
}

/** Reads the answer of the settings script. A `Match` that hangs on more than user and group counts as not matching. */
export function readServerSettings(body: string): ServerSettings {
  const facts = new Map<string, string>()
  const hidden: string[] = []
  const files: { path: string; lines: string[] }[] = []
  for (const line of body.split('\n').slice(0, MAX_LINES)) {
    if (line.startsWith(' ')) {
      files.at(-1)?.lines.push(line.slice(1))
      continue
    }
    const [, word = '', rest = ''] = /^(\S+) (.*)$/.exec(line) ?? []
    if (word === 'file') files.push({ path: rest, lines: [] })
    else if (word === 'hidden') hidden.push(rest)
    else facts.set(word, rest)
  }
  const user = facts.get('user') ?? ''
  const found = new Map<string, ServerSetting>()
  const [main, ...included] = files
  if (main) collect(main, included, { user, groups: (facts.get('groups') ?? '').split(' ') }, found)
  return {
    user,
    home: facts.get('home') ?? '',
    hidden,
    isSeen: main !== undefined,
    get: keyword => found.get(keyword) ?? { values: defaults.get(keyword) ?? [] },
  }
}

/** As sshd does: the first value of each keyword holds, and those of a `Match` that holds come before all others. */
function collect(
  main: SettingsFile,
  included: readonly SettingsFile[],
  account: Account,
  found: Map<string, ServerSetting>,
): void {
  const general = new Map<string, ServerSetting>()
  const matched = new Map<string, ServerSetting>()
  const walk = (file: SettingsFile, outer: boolean | undefined): void => {
    let holds = outer
    for (const [index, text] of file.lines.entries()) {
      const line = splitSafely(text)
      if (!line) continue
      const { keyword, values } = line
      if (keyword === 'match') holds = outer !== false && judgeMatch(values, account)
      else if (keyword === 'include') {
        for (const other of included) {
          if (file === main && values.some(pattern => matchesPattern(pattern, other.path))) walk(other, holds)
        }
      } else if (holds !== false) {
        const into = holds === undefined ? general : matched
        if (!into.has(keyword)) into.set(keyword, { values, from: { path: file.path, line: index + 1 } })
      }
    }
  }
  walk(main, undefined)
  for (const settings of [matched, general]) {
    for (const [keyword, setting] of settings) if (!found.has(keyword)) found.set(keyword, setting)
  }
}

function splitSafely(text: string): { keyword: string; values: string[] } | undefined {
  try {
    const line = splitKeyword(text)
    return line && { keyword: line.keyword, values: splitArguments(line.rest) }
  } catch {
    return undefined
  }
}

/** By criterion of `Match`: whether it holds for the account. */
const criteria: ReadonlyMap<string, (value: string, account: Account) => boolean> = new Map([
  ['user', (value: string, { user }: Account) => matchesList(value, user)],
  ['group', (value: string, { groups }: Account) => groups.some(group => matchesList(value, group))],
])

function judgeMatch(words: readonly string[], account: Account): boolean {
  if (words.length === 1 && words[0]?.toLowerCase() === 'all') return true
  for (let at = 0; at < words.length; at += 2) {
    const decide = criteria.get(words[at]?.toLowerCase() ?? '')
    if (!decide?.(words[at + 1] ?? '', account)) return false
  }
  return words.length > 0
}
