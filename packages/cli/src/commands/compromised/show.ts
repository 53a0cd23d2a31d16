import { showForeign } from '@keytool/keygen'
import type { Context } from '../../context.js'
import type { Member } from '../../fleet/member.js'
import { columns, count } from '../../text.js'
import type { Suspect, Trace } from './trace.js'

/** What became of a trace. */
export interface Treated {
  readonly trace: Trace
  readonly state: 'removed' | 'would-remove' | 'stays' | 'failed'
  readonly code: number
}

/** What is known of the key, before anything is done. */
export function showPlan(
  { fingerprint, key }: Suspect,
  traces: readonly Trace[],
  members: readonly Member[],
  { say }: Context,
): void {
  const what = key ? `${key.bits} ${key.algorithm.label}` : ''
  say.line([fingerprint, what, showForeign(key?.comment ?? '', 60)].filter(Boolean).join('  '))
  for (const row of columns(traces.map(({ kind, where, detail }) => [`  ${kind}`, where, detail]))) say.line(row)
  if (traces.length === 0) say.line('  nothing here knows it')
  const names = members.map(({ word }) => showForeign(word))
  say.line(
    names.length === 0 ? '  no host is known' : `  ${count(names.length, 'host')} to look at: ${names.join(', ')}`,
  )
}

/** What was done here: what stays as a record is not told again. */
export function showTreated(treated: readonly Treated[], { say }: Context): void {
  const rows = treated.filter(({ state }) => state !== 'stays')
  const cells = columns(rows.map(({ trace: { kind, where, detail } }) => [kind, where, detail]))
  for (const [index, { state, code }] of rows.entries()) {
    const what = state === 'removed' ? 'removed' : state === 'would-remove' ? 'would be removed' : 'not removed'
    say.line(`${say.mark(code === 0)} ${what}  ${cells[index]}`)
  }
}

/** What is left for its user to do. */
export function showRest(treated: readonly Treated[], unknown: readonly string[], { name, say }: Context): void {
  const files = treated.filter(({ trace }) => trace.kind === 'file').map(({ trace }) => trace.where)
  const journals = treated.filter(({ trace }) => trace.kind === 'journal')
  const forges = treated.filter(({ trace }) => trace.kind === 'ledger' && trace.where.startsWith('sshsig:'))
  const rest = [
    unknown.length > 0 && `hosts that nobody can go to by these names: ${unknown.join(', ')}`,
    journals.length > 0 && `a rotation with it is not done, and --rollback would bring it back: ${name} rotate --help`,
    forges.length > 0 &&
      'signatures by it (of commits, for one) are to be doubted: take it off where they are verified',
    "servers of one's own refuse it wherever it stands, by RevokedKeys of sshd_config: ssh-keygen -k -f LIST KEY.pub",
    files.length > 0 && `its files stay, for whoever looks into it; remove them when nobody does: ${files.join(', ')}`,
    `servers that are not listed, and web pages such as GitHub's, may have it, too; a new key: ${name} gen`,
  ]
  for (const line of rest) if (line !== false) say.note(line)
}
