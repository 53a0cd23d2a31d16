import { KeytoolError, showForeign } from '@keytool/keygen'
import type { FoundFile, LoginDisk } from './disk.js'
import type { Command, LoginFacts, LoginKind, LoginPlan, Step } from './service.js'
import { holds, type RunTool } from './tools.js'

/** What is done to the world outside. */
export interface LoginEffects {
  readonly disk: LoginDisk
  readonly run: RunTool
}

export interface InstallOptions {
  /** Only looks. Default false. */
  readonly dryRun?: boolean
  /** Whether files that were edited, or are not ours, may be replaced or removed. Default false. */
  readonly force?: boolean
  /**
   * Whether something else has started it, and it runs. Asked only where something would take its place: to ask an agent
   * may start one, where that is done already. Default: it does not.
   */
  readonly isTaken?: () => Promise<boolean>
  /** Stops what the kind can't stop: before the files are removed. Default: does nothing. */
  readonly stop?: () => Promise<void>
}

export interface LoginReport {
  /** As they were found. */
  readonly files: readonly FoundFile[]
  /** What was run, or with `dryRun`, what may have to be. */
  readonly commands: readonly Command[]
  /** What has to wait until what runs now has ended. */
  readonly held: readonly Command[]
  /** What it has left behind, and is removed, or with `dryRun`, would be. */
  readonly traces: readonly string[]
  /** Whether anything was, or is to be, changed. */
  readonly changed: boolean
}

/**
 * Has something start at login. What is done already is not done again.
 * @throws KeytoolError `refused` and `exists` before anything was changed, where a file is in the way; `failed`
 */
export async function installLogin(
  kind: LoginKind,
  facts: LoginFacts,
  { disk, run }: LoginEffects,
  options: InstallOptions = {},
): Promise<LoginReport> {
  const plan = kind.plan(facts)
  const files = await lookAtAll(plan, disk)
  for (const each of files) if (!options.force) checkReplaceable(each)
  const stale = files.filter(({ state }) => state !== 'same')
  const changed = stale.length > 0
  if (options.dryRun) {
    const steps = plan.enable.filter(({ afterChange }) => changed || !afterChange)
    return { files, commands: steps.map(({ command }) => command), held: [], traces: [], changed }
  }
  if (changed) await disk.write(stale)
  const { commands, held } = await take(plan.enable, run, changed, options.isTaken)
  return { files, commands, held, traces: [], changed: changed || commands.length > 0 }
}

/**
 * Takes back what {@link installLogin} did, and only that. Undefined when nothing of it is there.
 * @throws KeytoolError `exists` before anything was changed, where a file of ours was edited; `failed`
 */
export async function uninstallLogin(
  kind: LoginKind,
  facts: LoginFacts,
  { disk, run }: LoginEffects,
  options: InstallOptions = {},
): Promise<LoginReport | undefined> {
  const plan = kind.plan(facts)
  const files = (await lookAtAll(plan, disk)).filter(({ state }) => state !== 'missing' && state !== 'foreign')
  if (files.length === 0) return undefined
  for (const each of files) {
    if (each.state === 'edited' && !options.force) throw inTheWay(each, 'it was edited since it was written', 'remove')
  }
  const all = [...plan.disable, ...(plan.forget ?? [])].map(({ command }) => command)
  if (options.dryRun) {
    const traces = plan.traces ? await disk.findTraces(plan.traces) : []
    return { files, commands: all, held: [], traces, changed: true }
  }
  const before = await take(plan.disable, run, true)
  await options.stop?.()
  if (plan.link !== undefined) await disk.removeLink(plan.link)
  for (const file of files) await disk.remove(file)
  const traces = plan.traces ? await disk.removeTraces(plan.traces) : []
  const after = await take(plan.forget ?? [], run, true)
  return { files, commands: [...before.commands, ...after.commands], held: [], traces, changed: true }
}

async function lookAtAll({ files }: LoginPlan, disk: LoginDisk): Promise<FoundFile[]> {
  const found: FoundFile[] = []
  for (const file of files) found.push(await disk.look(file))
  return found
}

function checkReplaceable(found: FoundFile): void {
  if (found.state === 'edited') throw inTheWay(found, 'it was edited since it was written', 'replace')
  if (found.state === 'foreign') throw inTheWay(found, 'keytool did not write it', 'replace')
}

function inTheWay({ file: { path } }: FoundFile, reason: string, what: 'replace' | 'remove'): KeytoolError {
  return new KeytoolError('exists', `${path} is in the way: ${reason}`, {
    reason: 'nothing was changed',
    hint: `move it away, or ${what} it: --force`,
  })
}

/** Takes the steps that are to be taken, in their order. */
async function take(
  steps: readonly Step[],
  run: RunTool,
  changed: boolean,
  isTaken: () => Promise<boolean> = async () => false,
): Promise<{ commands: Command[]; held: Command[] }> {
  const commands: Command[] = []
  const held: Command[] = []
  let taken: boolean | undefined
  for (const { command, unless, onlyIf, afterChange, takesPlace, mayFail } of steps) {
    if (afterChange && !changed) continue
    if (unless && (await holds(unless, run))) continue
    if (onlyIf && !(await holds(onlyIf, run))) continue
    if (takesPlace) taken ??= await isTaken()
    if (takesPlace && taken) {
      held.push(command)
      continue
    }
    const { status, stderr } = await run(command)
    if (status === 0) commands.push(command)
    else if (!mayFail) throw failure(command, status, stderr)
  }
  return { commands, held }
}

function failure(command: Command, status: number | undefined, stderr: string): KeytoolError {
  const said = stderr.split('\n').find(line => line.trim() !== '')
  const how = status === undefined ? 'did not come to an end' : `ended with ${status}`
  return new KeytoolError('failed', `${command.join(' ')} ${how}`, {
    ...(said !== undefined && { reason: showForeign(said.trim()) }),
    hint: 'what was written stays; the same command goes on from there',
  })
}
