import {
  type Command,
  createRunTool,
  type FileState,
  type InstallOptions,
  type LoginEffects,
  type LoginFacts,
  type LoginKind,
  type LoginKindName,
  type LoginReport,
  type LoginSubject,
  loginDisk,
  loginFacts,
  loginKindsOf,
  uninstallLogin,
  wholeText,
} from '@keytool/agent'
import { KeytoolError } from '@keytool/keygen'
import type { Context } from './context.js'
import type { LoginOptions } from './login-flags.js'
import { columns } from './text.js'

// What all commands have in common that install something at login, or take it back.

const KINDS: readonly LoginKindName[] = ['systemd', 'xdg', 'launchd', 'task']

/** The word after `--kind`. @throws KeytoolError `usage` */
export function checkKind(kind: string | undefined): LoginKindName | 'shell' | undefined {
  const known = [...KINDS, 'shell' as const].find(each => each === kind)
  if (kind === undefined || known !== undefined) return known
  throw new KeytoolError('usage', `--kind takes ${KINDS.join(', ')} or shell, not ${JSON.stringify(kind.slice(0, 40))}`)
}

/** What these commands see and do. */
export function worldOf({ program, places, env }: Context): { facts: LoginFacts; effects: LoginEffects } {
  return { facts: loginFacts(program, places, env), effects: { disk: loginDisk, run: createRunTool(env) } }
}

/** The kinds of which something of ours is there. */
export async function kindsThere(subject: LoginSubject, facts: LoginFacts): Promise<LoginKind[]> {
  const there: LoginKind[] = []
  for (const kind of loginKindsOf(facts.system, subject)) {
    const states = kind.plan(facts).files.map(async file => (await loginDisk.look(file)).state)
    if ((await Promise.all(states)).some(state => state !== 'missing' && state !== 'foreign')) there.push(kind)
  }
  return there
}

/** Other kinds of the same that are there, too. */
export async function othersThan(kind: LoginKind, subject: LoginSubject, facts: LoginFacts): Promise<LoginKind[]> {
  return (await kindsThere(subject, facts)).filter(({ name }) => name !== kind.name)
}

const found: Readonly<Record<FileState, string>> = {
  missing: 'new',
  same: 'there already',
  outdated: 'in the place of an older one',
  edited: 'in the place of an edited one',
  foreign: "in the place of another program's",
}

/** All that `--dry-run` has to show of an installation. */
export function showPlan({ files, commands }: LoginReport, { say }: Context): void {
  for (const { file, state, folders } of files) {
    say.line(`${say.path(file.path)} (${found[state]})`)
    for (const line of wholeText(file, folders).trimEnd().split('\n')) say.line(line === '' ? '' : `  ${line}`)
    say.line()
  }
  for (const command of commands) say.line(`run, where it is not done yet: ${lineOf(command, say)}`)
  say.line('nothing was written')
}

/** The files that were written, each with what was there before. */
export function showFiles({ files }: LoginReport, { say }: Context): void {
  const rows = files.map(({ file, state }) => [`${say.mark(true)} ${say.path(file.path)}`, found[state]])
  for (const row of columns(rows)) say.line(row)
}

/** What was, or with `dryRun` would be, installed or taken back, for programs. */
export function factsOf(report: LoginReport, dryRun: boolean): Record<string, unknown> {
  return {
    files: report.files.map(({ file, state, folders }) => ({ path: file.path, state, text: wholeText(file, folders) })),
    commands: report.commands,
    held: report.held,
    changed: report.changed,
    written: !dryRun && report.changed,
    ...(report.traces.length > 0 && { traces: report.traces }),
  }
}

/**
 * Takes back whatever kinds are there.
 * @param what in words: `the agent`
 * @param stop ends what a kind has started and can't stop
 */
export async function takeBack(
  what: string,
  subject: LoginSubject,
  { dryRun = false, force = false }: LoginOptions,
  context: Context,
  stop: (kind: LoginKind) => Promise<void> = async () => {},
): Promise<number> {
  const { say } = context
  const { facts, effects } = worldOf(context)
  const removed: { kind: string; report: LoginReport }[] = []
  for (const kind of loginKindsOf(facts.system, subject)) {
    const options: InstallOptions = { dryRun, force, stop: () => stop(kind) }
    const report = await uninstallLogin(kind, facts, effects, options)
    if (!report) continue
    removed.push({ kind: kind.name, report })
    for (const path of [...report.files.map(({ file }) => file.path), ...report.traces]) {
      if (dryRun) say.line(`${say.path(path)} would be removed`)
      else say.done(`${say.path(path)} is removed`)
    }
    if (dryRun) for (const command of report.commands) say.line(`run, where it is to be done: ${lineOf(command, say)}`)
    else say.done(`${what} is not started by ${kind.title} any more`)
  }
  if (removed.length === 0) say.done(`nothing starts ${what} at login; nothing was changed`)
  else if (dryRun) say.line('nothing was removed')
  say.facts(removed.map(({ kind, report }) => ({ kind, ...factsOf(report, dryRun) })))
  return 0
}

function lineOf(command: Command, say: Context['say']): string {
  return command.map(word => say.word(word)).join(' ')
}
