import { type LoginReport, loginKindsOf, uninstallLogin } from '@keytool/agent'
import type { Context } from '../../context.js'
import { checkPlace, factsOf, type LoginOptions, lineOf, worldOf } from './install.js'

/** `agent uninstall`: whatever kinds of ours are there. */
export async function uninstallAtLogin(options: LoginOptions, context: Context): Promise<number> {
  checkPlace(options, context)
  const { say } = context
  const { facts, effects } = worldOf(context)
  const { dryRun = false, force = false } = options
  const removed: { kind: string; report: LoginReport }[] = []
  for (const kind of loginKindsOf(facts.system)) {
    const report = await uninstallLogin(kind, facts, effects, { dryRun, force })
    if (!report) continue
    removed.push({ kind: kind.name, report })
    for (const { file } of report.files) {
      const path = say.path(file.path)
      if (dryRun) say.line(`${path} would be removed`)
      else say.done(`${path} is removed`)
    }
    if (dryRun) for (const command of report.commands) say.line(`run, where it is to be done: ${lineOf(command, say)}`)
    else say.done(`the agent is not started by ${kind.title} any more`)
  }
  if (removed.length === 0) say.done('nothing starts the agent at login; nothing was changed')
  else if (dryRun) say.line('nothing was removed')
  say.facts(removed.map(({ kind, report }) => ({ kind, ...factsOf(report, dryRun) })))
  return 0
}
