import { showForeign } from '@keytool/keygen'
import type { LineCode } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { columns } from '../../text.js'
import type { AuditedHost, AuditedLine } from './audited-host.js'
import { type Finding, tellFinding } from './finding.js'

interface Place {
  readonly host: AuditedHost
  readonly line: AuditedLine
}

/** Said of a line, and not of its key wherever that stands. */
const ofLines: ReadonlySet<string> = new Set<LineCode>([
  ...(['duplicate', 'unreadable', 'passed-over', 'expired', 'authority', 'unrestricted'] as const),
])

/** A block for each key: whose it is, where it stands, when it was last used there, and what is to be said of it. */
export function showRemote(hosts: readonly AuditedHost[], context: Context): void {
  const { say } = context
  const byKey = new Map<string, Place[]>()
  const keyless: Place[] = []
  for (const host of hosts) {
    for (const line of host.lines) {
      if (line.fingerprint === undefined) keyless.push({ host, line })
      else byKey.set(line.fingerprint, [...(byKey.get(line.fingerprint) ?? []), { host, line }])
    }
  }
  for (const [print, places] of byKey) showKey(print, places, context)
  for (const { host, line } of keyless) {
    for (const finding of line.findings) {
      say.line(`${showForeign(host.host)}  ${lineOf(line, host)}  ${tellFinding(finding, context)}`)
    }
  }
  for (const host of hosts) {
    for (const finding of host.findings) say.line(`${showForeign(host.host)}  ${tellFinding(finding, context)}`)
  }
}

function showKey(print: string, places: readonly Place[], context: Context): void {
  const { say } = context
  const [first] = places
  if (!first) return
  const { key, type = '', comment, owner } = first.line
  const what = key ? `${key.bits} ${key.algorithm.label}` : showForeign(type)
  say.line(`${print}  ${what}  ${owner ?? (showForeign(comment, 60) || 'no comment')}`)
  const shared = new Map<string, Finding>()
  for (const { line } of places)
    for (const each of line.findings) if (!ofLines.has(each.code)) shared.set(each.code, each)
  for (const finding of shared.values()) say.line(`  ${tellFinding(finding, context)}`)
  const rows = columns(places.map(place => rowOf(place, owner === undefined ? comment : undefined)))
  for (const [index, { line }] of places.entries()) {
    say.line(`  ${rows[index]}`)
    // That a key may do anything is most keys' way; its row says so.
    const told = line.findings.filter(
      ({ code }) => ofLines.has(code) && code !== 'unrestricted' && code !== 'authority',
    )
    for (const finding of told) say.line(`    ${tellFinding(finding, context)}`)
  }
}

function rowOf({ host, line }: Place, shown: string | undefined): string[] {
  return [
    showForeign(host.host),
    lineOf(line, host),
    mayDo(line),
    showUse(line, host),
    line.comment === shown ? '' : showForeign(line.comment, 40),
  ]
}

function lineOf({ line, file }: AuditedLine, { lines }: AuditedHost): string {
  // Most accounts have one file.
  const isAlone = lines.every(each => each.file === file) && !file.endsWith('2')
  return isAlone ? `line ${line}` : `${showForeign(file)} line ${line}`
}

function mayDo({ isHeeded, isAuthority, options, findings }: AuditedLine): string {
  if (!isHeeded) return 'not heeded'
  if (isAuthority) return 'authority'
  return findings.some(({ code }) => code === 'unrestricted') ? 'unrestricted' : showForeign(options, 60)
}

/** Unknown, never unused: logs go back so far, and not every one can be read. */
function showUse({ lastUse }: AuditedLine, { since }: AuditedHost): string {
  if (lastUse) return `last use ${dayOf(lastUse.at)} from ${showForeign(lastUse.from, 60)}`
  return since ? `last use unknown (logs since ${dayOf(since)})` : 'last use unknown'
}

function dayOf(time: Date): string {
  return time.toISOString().slice(0, 10)
}
