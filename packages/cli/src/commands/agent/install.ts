import {
  type Command,
  chooseLoginKind,
  createRunTool,
  type FileState,
  installLogin,
  type LoginEffects,
  type LoginFacts,
  type LoginKind,
  type LoginKindName,
  type LoginReport,
  loginDisk,
  loginFacts,
  loginKindsOf,
  shellLines,
  wholeText,
} from '@keytool/agent'
import { KeytoolError } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { columns } from '../../text.js'
import { type AgentOptions, lookFor, placeOf, styleOf } from './options.js'

export interface LoginOptions extends AgentOptions {
  kind?: string
  dryRun?: boolean
  force?: boolean
}

const KINDS: readonly LoginKindName[] = ['systemd', 'xdg', 'launchd', 'task']

/** `agent install`: has the agent start at login, and desktop programs find it. */
export async function installAtLogin(options: LoginOptions, context: Context): Promise<number> {
  const wanted = checkKind(options.kind)
  checkPlace(options, context)
  if (wanted === 'shell') return showShellLines(options, context)
  const { say } = context
  const { facts, effects } = worldOf(context)
  const { dryRun = false, force = false } = options
  const kind = await chooseLoginKind(facts.system, effects.run, wanted, dryRun)
  const isTaken = () => answers(context)
  const report = await installLogin(kind, facts, effects, { dryRun, force, isTaken })
  for (const other of await othersThan(kind, facts)) {
    say.note(`it is started by ${other.title}, too: ${context.name} agent uninstall, then install again`)
  }
  if (dryRun) showPlan(report, context)
  else showDone(kind, report, context)
  const next = nextSteps(kind, facts, report, context)
  for (const line of next) say.line(line)
  say.facts({ kind: kind.name, ...factsOf(report, dryRun), next })
  return 0
}

/** What both commands see and do. */
export function worldOf({ program, places, env }: Context): { facts: LoginFacts; effects: LoginEffects } {
  return { facts: loginFacts(program, places, env), effects: { disk: loginDisk, run: createRunTool(env) } }
}

/** The login service is for the agent's fixed place. @throws KeytoolError `usage` */
export function checkPlace({ socket }: AgentOptions, { name }: Context): void {
  if (socket === undefined) return
  throw new KeytoolError('usage', '-a does not go with a login service, which is for the fixed place', {
    hint: `${name} agent install`,
  })
}

function checkKind(kind: string | undefined): LoginKindName | 'shell' | undefined {
  const known = [...KINDS, 'shell' as const].find(each => each === kind)
  if (kind === undefined || known !== undefined) return known
  throw new KeytoolError('usage', `--kind takes ${KINDS.join(', ')} or shell, not ${JSON.stringify(kind.slice(0, 40))}`)
}

/** What a shell's start-up file evaluates. Where it is nobody else's file to write. */
function showShellLines(options: AgentOptions, context: Context): number {
  const { say, name } = context
  const isCsh = styleOf(options, context) === 'csh'
  const line = isCsh ? `eval \`${name} agent -c\` >& /dev/null` : `eval "$(${name} agent -s)" >/dev/null`
  say.script(`${line}\n`)
  say.note(`put this line into your shell's start-up file: ${isCsh ? '~/.login' : '~/.profile'}`)
  say.facts({ kind: 'shell', files: [], commands: [], held: [], changed: false, written: false, next: [line] })
  return 0
}

/** Whoever answers there: systemd would take its path away. */
async function answers(context: Context): Promise<boolean> {
  return (await lookFor(placeOf({}, context))) !== undefined
}

/** Other kinds of ours that are there, too. */
async function othersThan(kind: LoginKind, facts: LoginFacts): Promise<LoginKind[]> {
  const found: LoginKind[] = []
  for (const other of loginKindsOf(facts.system)) {
    if (other.name === kind.name) continue
    const states = other.plan(facts).files.map(async file => (await loginDisk.look(file)).state)
    if ((await Promise.all(states)).some(state => state !== 'missing' && state !== 'foreign')) found.push(other)
  }
  return found
}

const found: Readonly<Record<FileState, string>> = {
  missing: 'new',
  same: 'there already',
  outdated: 'in the place of an older one',
  edited: 'in the place of an edited one',
  foreign: "in the place of another program's",
}

function showPlan({ files, commands }: LoginReport, { say }: Context): void {
  for (const { file, state, folders } of files) {
    say.line(`${say.path(file.path)} (${found[state]})`)
    for (const line of wholeText(file, folders).trimEnd().split('\n')) say.line(line === '' ? '' : `  ${line}`)
    say.line()
  }
  for (const command of commands) say.line(`run, where it is not done yet: ${lineOf(command, say)}`)
  say.line('nothing was written')
}

function showDone(kind: LoginKind, { files, changed, held }: LoginReport, { say, name }: Context): void {
  if (!changed) say.done(`the agent is started at login by ${kind.title}; nothing was changed`)
  else {
    const rows = files.map(({ file, state }) => [`${say.mark(true)} ${say.path(file.path)}`, found[state]])
    for (const row of columns(rows)) say.line(row)
    say.done(`the agent is started at login by ${kind.title}`)
  }
  if (held.length > 0) {
    say.line('the agent that runs now goes on until then')
    say.line(`to change over now, without the keys it holds: ${name} agent stop; ${name} agent install`)
  }
}

/** What is left for the user to do. */
function nextSteps(kind: LoginKind, { socket }: LoginFacts, { held }: LoginReport, context: Context): string[] {
  const { env, name } = context
  if (kind.name === 'task') return []
  const isAsked = env['SSH_AUTH_SOCK'] === socket
  if (kind.name === 'xdg') {
    const line = shellLines('sh', socket).trimEnd()
    const now = held.length > 0 || isAsked ? [] : [`until the next login: eval "$(${name} agent)"`]
    return [`Next: this line in ~/.profile, so that programs find it: ${line}`, ...now]
  }
  if (isAsked) return []
  return [
    'programs of the desktop find it from the next login on',
    `Next: to have this shell ask it: ${shellLines(styleOf({}, context), socket).trimEnd()}`,
  ]
}

export function factsOf(report: LoginReport, dryRun: boolean): Record<string, unknown> {
  return {
    files: report.files.map(({ file, state, folders }) => ({ path: file.path, state, text: wholeText(file, folders) })),
    commands: report.commands,
    held: report.held,
    changed: report.changed,
    written: !dryRun && report.changed,
  }
}

export function lineOf(command: Command, say: Context['say']): string {
  return command.map(word => say.word(word)).join(' ')
}
