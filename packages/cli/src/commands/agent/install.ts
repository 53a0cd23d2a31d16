import {
  agentAtLogin,
  chooseLoginKind,
  installLogin,
  type LoginFacts,
  type LoginKind,
  type LoginReport,
  shellLines,
} from '@keytool/agent'
import { KeytoolError } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { checkKind, factsOf, othersThan, showFiles, showPlan, worldOf } from '../../login-service.js'
import { type AgentOptions, lookFor, placeOf, styleOf } from './options.js'

export interface LoginOptions extends AgentOptions {
  kind?: string
  dryRun?: boolean
  force?: boolean
}

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
  for (const other of await othersThan(kind, agentAtLogin, facts)) {
    say.note(`it is started by ${other.title}, too: ${context.name} agent uninstall, then install again`)
  }
  if (dryRun) showPlan(report, context)
  else showDone(kind, report, context)
  const next = nextSteps(kind, facts, report, context)
  for (const line of next) say.line(line)
  say.facts({ kind: kind.name, ...factsOf(report, dryRun), next })
  return 0
}

/** The login service is for the agent's fixed place. @throws KeytoolError `usage` */
export function checkPlace({ socket }: AgentOptions, { name }: Context): void {
  if (socket === undefined) return
  throw new KeytoolError('usage', '-a does not go with a login service, which is for the fixed place', {
    hint: `${name} agent install`,
  })
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

function showDone(kind: LoginKind, report: LoginReport, context: Context): void {
  const { changed, held } = report
  const { say, name } = context
  if (!changed) say.done(`the agent is started at login by ${kind.title}; nothing was changed`)
  else {
    showFiles(report, context)
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
