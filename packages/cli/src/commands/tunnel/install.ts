import { chooseLoginKind, installLogin, type LoginKind, type LoginReport } from '@keytool/agent'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { askTunnel, checkSessionName, loginLog, SessionStore, tunnelAtLogin } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { exitStatus } from '../../exit.js'
import { installFlags, type LoginOptions } from '../../login-flags.js'
import { checkKind, factsOf, othersThan, showFiles, showPlan, worldOf } from '../../login-service.js'
import { parse } from '../../options.js'
import { styleOf } from '../agent/options.js'
import { foreseeTroubles } from './foresee.js'
import { makePlan, type Plan } from './plan.js'

const usage = {
  command: 'tunnel install',
  takes: '<session>',
  summary: "Have a saved session's tunnel start at login, and now. Done again, it changes nothing.",
  examples: ['tunnel install mail', 'tunnel install mail --dry-run', 'tunnel install mail --kind xdg'],
  options: installFlags,
}

interface InstallFlags extends LoginOptions {
  readonly s?: boolean
  readonly c?: boolean
}

/** What ends with another status may have been bad luck: the network, the port of a program that has ended by now. */
const passing: readonly number[] = [exitStatus.failed, exitStatus.unreachable]

/** Exit statuses after which a tunnel is of no use to start again, until its user has done something. */
export const finalStatuses: readonly number[] = [...new Set(Object.values(exitStatus))]
  .filter(status => !passing.includes(status))
  .sort((a, b) => a - b)

export async function installTunnel(args: readonly string[], context: Context): Promise<number> {
  const parsed = parse<InstallFlags>(usage, args, context)
  if (!parsed) return 0
  const { words, options } = parsed
  const [name = ''] = words
  const wanted = checkKind(options.kind)
  const { destination, key } = await planSaved(name, context)
  if (wanted === 'shell') return showShellLine(name, options, context)
  const { say, places } = context
  const { facts, effects } = worldOf(context)
  const { dryRun = false, force = false } = options
  const subject = tunnelAtLogin(name, finalStatuses)
  const kind = await chooseLoginKind(facts.system, effects.run, wanted, dryRun, subject)
  // Where it can't be asked it is not in the way, either.
  const isTaken = async () => (await askTunnel(places, key).catch(() => undefined)) !== undefined
  const report = await installLogin(kind, facts, effects, { dryRun, force, isTaken })
  for (const other of await othersThan(kind, subject, facts)) {
    say.note(`it is started by ${other.title}, too: ${context.name} tunnel uninstall ${name}, then install again`)
  }
  if (dryRun) showPlan(report, context)
  else showDone(name, kind, report, context)
  const log = loginLog(facts, name)
  say.line(`log: ${say.path(log)}`)
  const notes = await foreseeTroubles(name, destination, facts, context)
  for (const note of notes) say.note(note)
  const next = nextSteps(name, kind, report, notes, context)
  for (const line of next) say.line(line)
  say.facts({ name, kind: kind.name, log, ...factsOf(report, dryRun), notes, next })
  return 0
}

/** A login has no other words: what is said on a command line has to be saved first. */
async function planSaved(name: string, context: Context): Promise<Plan> {
  const save = `${context.name} session save NAME [USER@]HOST -L 1110:localhost:110`
  await saying('tunnel install takes the name of a saved session', save, async () => checkSessionName(name))
  await new SessionStore(context.places.config).load(name)
  const edit = `${context.name} session edit ${name} -L 1110:localhost:110`
  return saying(`session ${name} can't be held up at login`, edit, () => makePlan(name, {}, context))
}

/** Says of a mistake what it is about here, and what to type. */
async function saying<T>(message: string, hint: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (!isKeytoolError(cause) || cause.code !== 'usage') throw cause
    throw new KeytoolError('usage', message, { reason: cause.message, hint, cause })
  }
}

/** In the background, asking nothing: a shell's start-up is no time for questions. */
function showShellLine(name: string, options: InstallFlags, context: Context): number {
  const { say } = context
  const isCsh = styleOf(options, context) === 'csh'
  const command = `${context.name} tunnel --background --wait ${name} </dev/null`
  const line = isCsh ? `(${command} >& /dev/null &)` : `(${command} >/dev/null 2>&1 &)`
  say.script(`${line}\n`)
  say.note(`put this line into your shell's start-up file: ${isCsh ? '~/.login' : '~/.profile'}`)
  say.facts({ name, kind: 'shell', files: [], commands: [], held: [], changed: false, written: false, next: [line] })
  return 0
}

function showDone(tunnel: string, kind: LoginKind, report: LoginReport, context: Context): void {
  const { changed, held } = report
  const { say, name } = context
  if (!changed) say.done(`tunnel ${tunnel} is started at login by ${kind.title}; nothing was changed`)
  else {
    showFiles(report, context)
    const isStarted = kind.supervises && held.length === 0
    say.done(`tunnel ${tunnel} is started at login by ${kind.title}${isStarted ? ', and is started now' : ''}`)
  }
  if (held.length > 0) {
    say.line('the tunnel that runs now goes on until then')
    say.line(`to change over now: ${name} tunnel stop ${tunnel}; ${name} tunnel install ${tunnel}`)
  }
}

/** What is left for the user to do. */
function nextSteps(
  tunnel: string,
  kind: LoginKind,
  { changed, held }: LoginReport,
  notes: readonly string[],
  { name }: Context,
): string[] {
  if (held.length > 0) return []
  if (!kind.supervises) return [`until the next login: ${name} tunnel --background ${tunnel}`]
  if (notes.length > 0) return [`Next, once that is done: ${name} tunnel install ${tunnel}`]
  return changed ? [`Next: ${name} tunnel status`] : []
}
