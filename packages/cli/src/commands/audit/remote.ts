import { auditServer, type KeyFileFinding } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { chooseMembers, type FleetOptions } from '../../fleet/choose.js'
import { type HostOutcome, type Member, nameMember } from '../../fleet/member.js'
import { onServer } from '../../fleet/on-server.js'
import { overHosts } from '../../fleet/over-hosts.js'
import { reportOutcomes } from '../../fleet/report.js'
import { keyFacts } from '../../key-facts.js'
import type { Usage } from '../../options.js'
import { count } from '../../text.js'
import type { AuditedHost } from './audited-host.js'
import { countFindings, type Finding, needAttention } from './finding.js'
import { type KnownKeys, readKnownKeys } from './known-keys.js'
import { showRemote } from './show-remote.js'

export interface RemoteOptions extends FleetOptions {
  readonly known?: readonly string[]
  /** commander's `--no-logs`. */
  readonly logs?: boolean
  readonly strict?: boolean
  readonly passwordFile?: string
  readonly passphraseFile?: string
  readonly hostKey?: string
}

/**
 * Whose keys get in on each host, what is to be said of them, and when they were last used.
 * @param args the command's own, for the line that does the rest
 * @returns the exit status
 */
export async function auditRemote(
  words: readonly string[],
  options: RemoteOptions,
  args: readonly string[],
  flags: Usage['options'],
  context: Context,
): Promise<number> {
  const members = await chooseMembers(words, options, context)
  const known = await readKnownKeys(options.known ?? [], context)
  const outcomes = await overHosts<AuditedHost>(members, options, context, (member, own) =>
    auditHost(member, known, options, own),
  )
  const audited = outcomes.filter((outcome): outcome is AuditedHost => 'lines' in outcome)
  showRemote(audited, context)
  const facts = outcomes.map(outcome => ('lines' in outcome ? toFacts(outcome) : outcome))
  const status = reportOutcomes(facts, ['audit', ...args], context, { ...(flags && { flags }), done: 'read' })
  return (
    status ||
    (options.strict && (needAttention(audited) || needAttention(audited.flatMap(({ lines }) => lines))) ? 1 : 0)
  )
}

async function auditHost(
  member: Member,
  known: KnownKeys,
  options: RemoteOptions,
  context: Context,
): Promise<AuditedHost> {
  const login = { options: { ...options, dryRun: true }, signers: [], usualKeys: true }
  return onServer(member, login, context, async ({ connection }) => {
    context.say.transient('reading')
    const { files, unread, troubles, uses } = await auditServer(connection, {
      user: member.destination.user,
      now: new Date(),
      ownerOf: print => known.get(print),
      logs: options.logs !== false,
    })
    const lines = files.flatMap(({ path, lines }) =>
      lines.map(line => ({ ...line, file: path, lastUse: line.key && uses.of(line.key) })),
    )
    const findings = [...troubles.map(toFinding), ...unread.map(unreadable)]
    const told = countFindings([{ findings }, ...lines])
    const detail = `${count(lines.filter(({ fingerprint: print }) => print !== undefined).length, 'key')}${told && `: ${told}`}`
    return {
      ...{ ...nameMember(member), state: 'read', code: 0, detail, lines, findings },
      ...(uses.since && { since: uses.since }),
    }
  })
}

/** What makes sshd pass the whole file over lets nobody in. */
function toFinding({ kind, text, remedy }: KeyFileFinding): Finding {
  return { code: kind, severity: kind === 'missing' ? 'note' : 'weak', text, hint: remedy }
}

function unreadable(path: string): Finding {
  return { code: 'unreadable', severity: 'weak', text: `${path} is there, but can't be read` }
}

/** One element of `audit --remote --json`. */
function toFacts({ lines, since, findings, ...outcome }: AuditedHost): HostOutcome {
  return {
    ...outcome,
    ...{ findings, logSince: since?.toISOString() ?? null },
    keys: lines.map(({ key, lastUse, isHeeded, isAuthority, owner, ...line }) => ({
      file: line.file,
      line: line.line,
      type: line.type ?? null,
      ...(key ? keyFacts(key) : line.fingerprint !== undefined && { fingerprint: { sha256: line.fingerprint } }),
      comment: line.comment,
      options: line.options,
      heeded: isHeeded,
      authority: isAuthority,
      owner: owner ?? null,
      lastUse: lastUse ? { at: lastUse.at.toISOString(), from: lastUse.from } : null,
      findings: line.findings,
    })),
  } as HostOutcome
}
