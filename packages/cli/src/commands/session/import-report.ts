import type { HostKeyState, ImportedHostKey, ImportedSession, ImportState } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { count } from '../../text.js'

export interface Imported {
  readonly sessions: readonly ImportedSession[]
  readonly hostKeys: readonly ImportedHostKey[]
  readonly authorities: number
  /** Hosts of ssh_config that there was too much to read for. */
  readonly notRead: readonly string[]
  /** Of ssh_config: what names no host. */
  readonly patterns: readonly string[]
  readonly matches: readonly string[]
  readonly dryRun: boolean
}

/** How many names of a kind are said; JSON has all of them. */
const MAX_SHOWN = 10

/** What is said of a session, and whether it is good news. */
const words: Readonly<Record<ImportState, readonly [good: boolean, text: string]>> = {
  new: [true, ''],
  same: [true, 'there already'],
  replaced: [true, 'in place of another one'],
  kept: [false, 'not taken over'],
  passed: [true, 'passed over'],
  refused: [false, 'refused'],
}

const keyWords: Readonly<Record<HostKeyState, string>> = {
  new: 'added to known_hosts',
  known: 'known already',
  differs: 'not taken over: known_hosts says otherwise',
  passed: 'passed over',
  refused: 'refused',
}

/** How many host keys of a state are named: of those that are trusted from now on some, of those that were not taken all. */
const named: Readonly<Record<HostKeyState, number>> = {
  new: MAX_SHOWN,
  known: 0,
  differs: Number.POSITIVE_INFINITY,
  passed: 0,
  refused: Number.POSITIVE_INFINITY,
}

/**
 * Says what became of each session, what was lost on the way, and of the host keys those that matter, the others in sums; a dry
 * run says all that would be trusted, and JSON has every one of them.
 */
export function sayImport(imported: Imported, context: Context): void {
  const { sessions, hostKeys, authorities, notRead, patterns, matches, dryRun } = imported
  const { say } = context
  for (const session of sessions) saySession(session, context)
  const looks = sessions.filter(isTaken).reduce((sum, session) => sum + session.looks, 0)
  if (looks > 0) say.line(`${count(looks, 'setting')} of looks, keyboard and window left out`)
  for (const state of Object.keys(keyWords) as HostKeyState[]) {
    const some = hostKeys.filter(key => key.state === state)
    if (some.length > 0) sayKeys(state, some, imported, context)
  }
  if (notRead.length > 0) sayNotRead(notRead, context)
  saySome(patterns, ['pattern', 'patterns'], context)
  saySome(matches, ['Match block', 'Match blocks'], context)
  if (authorities > 0) say.line(`${count(authorities, 'authority', 'authorities')} for host certificates left out`)
  if (sessions.length + hostKeys.length === 0) say.note('there are no sessions and no host keys in it')
  if (sessions.some(({ state }) => state === 'kept')) say.note('to replace sessions of the same name: --force')
  if (dryRun) say.note('nothing was written: that was a dry run')
  const first = sessions.find(isTaken)
  if (first && !dryRun) say.line(`Next: ${context.name} session show ${first.name}`)
  sayEnd(imported, context)
  say.facts({ sessions, hostKeys, authorities, notRead, patterns, matches, dryRun })
}

function saySession(session: ImportedSession, { say }: Context): void {
  const { from, name, state, reason, leftOut, lookAt } = session
  const [good, text] = words[state]
  const what = name === undefined ? `"${from}"` : `session ${name}${name === from ? '' : `, "${from}"`}`
  say.line(`${say.mark(good)} ${[`${what}${text === '' ? '' : `  ${text}`}`, reason].filter(Boolean).join(': ')}`)
  if (!isTaken(session)) return
  for (const line of leftOut) say.line(`  left out  ${line}`)
  for (const line of lookAt) say.line(`  look at   ${line}`)
}

function sayNotRead(names: readonly string[], { say, name }: Context): void {
  say.line(
    `${say.mark(false)} ${count(names.length, 'host')} not read: all files are read for each, and they are too long`,
  )
  say.line(`  ${joinSome(names, ' ')}`)
  say.note(`for the rest: ${name} session import FILE, with a shorter file`)
}

/** What counts for the sessions it fits, and became none itself. */
function saySome(names: readonly string[], [one, many]: readonly [string, string], { say }: Context): void {
  if (names.length > 0) say.line(`${count(names.length, one, many)} named no host: ${joinSome(names, ', ')}`)
}

function joinSome(names: readonly string[], between: string): string {
  const more = names.length > MAX_SHOWN ? ` and ${names.length - MAX_SHOWN} more` : ''
  return `${names.slice(0, MAX_SHOWN).join(between)}${more}`
}

/** Where something stayed behind, how much did not: the exit status says the worst of it alone. */
function sayEnd({ sessions, hostKeys, notRead, dryRun }: Imported, { say }: Context): void {
  const meant = sessions.filter(({ state }) => state !== 'passed')
  const came = meant.filter(({ state }) => words[state][0])
  const keys = hostKeys.filter(({ state }) => state === 'refused' || state === 'differs')
  const total = meant.length + notRead.length
  if (came.length === total && keys.length === 0) return
  const lost = keys.length > 0 ? count(keys.length, 'host key') : undefined
  const [comes, not] = dryRun ? ['would come through', 'would not'] : ['came through', 'did not']
  if (total > 0) say.line(`${came.length} of ${count(total, 'session')} ${comes}${lost ? `, ${lost} ${not}` : ''}`)
  else say.line(`${lost} ${not} come through`)
}

function sayKeys(state: HostKeyState, keys: readonly ImportedHostKey[], { dryRun }: Imported, context: Context): void {
  const { say } = context
  say.line(`${count(keys.length, 'host key')} ${keyWords[state]}`)
  const max = named[state]
  const shown = max > 0 && dryRun ? keys : keys.slice(0, max)
  for (const key of shown) sayKey(key, context)
  if (max > 0 && keys.length > shown.length) say.line(`  and ${keys.length - shown.length} more: --json names them all`)
}

function sayKey({ host, type, fingerprint, reason }: ImportedHostKey, { say }: Context): void {
  say.line(`  ${[host, type, fingerprint].filter(Boolean).join(' ')}${reason === undefined ? '' : `: ${reason}`}`)
}

function isTaken({ state }: ImportedSession): boolean {
  return state === 'new' || state === 'replaced'
}
