import type { HostKeyState, ImportedHostKey, ImportedSession, ImportState } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { count } from '../../text.js'

export interface Imported {
  readonly sessions: readonly ImportedSession[]
  readonly hostKeys: readonly ImportedHostKey[]
  readonly authorities: number
  readonly dryRun: boolean
}

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

/** Says what became of each session, what was lost on the way, and of the host keys in sums; JSON has every one of them. */
export function sayImport({ sessions, hostKeys, authorities, dryRun }: Imported, context: Context): void {
  const { say } = context
  for (const session of sessions) saySession(session, context)
  const looks = sessions.filter(isTaken).reduce((sum, session) => sum + session.looks, 0)
  if (looks > 0) say.line(`${count(looks, 'setting')} of looks, keyboard and window left out`)
  for (const [state, text] of Object.entries(keyWords)) {
    const some = hostKeys.filter(key => key.state === state)
    if (some.length > 0) say.line(`${count(some.length, 'host key')} ${text}`)
    if (state === 'differs' || state === 'refused') for (const key of some) sayKey(key, context)
  }
  if (authorities > 0) say.line(`${count(authorities, 'authority', 'authorities')} for host certificates left out`)
  if (sessions.length + hostKeys.length === 0) say.note('there are no sessions and no host keys in it')
  if (sessions.some(({ state }) => state === 'kept')) say.note('to replace sessions of the same name: --force')
  if (dryRun) say.note('nothing was written: that was a dry run')
  const first = sessions.find(isTaken)
  if (first && !dryRun) say.line(`Next: ${context.name} session show ${first.name}`)
  say.facts({ sessions, hostKeys, authorities, dryRun })
}

function saySession(session: ImportedSession, { say }: Context): void {
  const { from, name, state, reason, leftOut, lookAt } = session
  const [good, text] = words[state]
  const what =
    name === undefined ? JSON.stringify(from) : `session ${name}${name === from ? '' : `, ${JSON.stringify(from)}`}`
  say.line(`${say.mark(good)} ${[`${what}${text === '' ? '' : `  ${text}`}`, reason].filter(Boolean).join(': ')}`)
  if (!isTaken(session)) return
  for (const line of leftOut) say.line(`  left out  ${line}`)
  for (const line of lookAt) say.line(`  look at   ${line}`)
}

function sayKey({ host, type, fingerprint, reason }: ImportedHostKey, { say }: Context): void {
  say.line(`  ${[host, type, fingerprint].filter(Boolean).join(' ')}${reason === undefined ? '' : `: ${reason}`}`)
}

function isTaken({ state }: ImportedSession): boolean {
  return state === 'new' || state === 'replaced'
}
