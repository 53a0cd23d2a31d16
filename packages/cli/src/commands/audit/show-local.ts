import { showForeign } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { describeProtection } from '../../protection.js'
import { columns, count } from '../../text.js'
import type { Audited } from './audited.js'
import { countFindings, tellFinding } from './finding.js'

/** A line for each key, and below it what is to be said of it; at the end how much that is. */
export function showLocal(audited: readonly Audited[], context: Context): void {
  const { say } = context
  // A folder, or what is no key, is there only to be complained of.
  const shown = audited.filter(({ key, file, findings }) => key || file || findings.length > 0)
  const rows = columns(shown.map(each => rowOf(each, context)))
  for (const [index, { findings }] of shown.entries()) {
    say.line(rows[index])
    for (const finding of findings) say.line(`  ${tellFinding(finding, context)}`)
  }
  const keys = audited.filter(({ key, file }) => key || file).length
  if (keys === 0) say.note('no key was found')
  else say.line(`${count(keys, 'key file')}: ${countFindings(audited) || 'nothing to be said against them'}`)
}

function rowOf({ path, kind, key, file, isHeld, lastUse }: Audited, { say }: Context): string[] {
  const what = file?.what
  return [
    path === undefined ? 'in an agent' : say.path(path),
    key ? `${key.bits} ${key.algorithm.label}` : '',
    what?.kind === 'private' ? describeProtection(what) : kind === 'agent' ? '' : kind,
    [
      isHeld && path !== undefined && 'in an agent',
      what?.kind === 'private' || kind === 'agent' ? showUse(lastUse) : '',
    ]
      .filter(Boolean)
      .join(', '),
    showForeign(key?.comment ?? '', 40),
  ]
}

/** Only signatures that our agent made are known. */
function showUse(lastUse: Date | undefined): string {
  return `last use ${lastUse ? lastUse.toISOString().slice(0, 10) : 'unknown'}`
}
