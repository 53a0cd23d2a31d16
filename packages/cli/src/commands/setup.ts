import type { Run } from '../context.js'
import { parse } from '../options.js'
import { carryOutAlone, showPlan } from '../setup/carry-out.js'
import { checkFlags, type SetupFlags, usage } from '../setup/options.js'
import { prepare } from '../setup/prepare.js'
import { takeBack } from '../setup/take-back.js'
import { tellPlan, tellResult } from '../setup/tell.js'

/** The whole story in one command. */
export const run: Run = async (args, context) => {
  const parsed = parse<SetupFlags>(usage, args, context)
  if (!parsed) return 0
  const { words, options: flags } = parsed
  checkFlags(flags)
  if (flags.undo) return takeBack(words[0], flags, context)
  const job = await prepare(words[0], flags, context)
  try {
    if (flags.dryRun) tellPlan(job, await showPlan(job))
    else await tellResult(job, await carryOutAlone(job), context)
    return 0
  } finally {
    job.key.passphrase?.fill(0)
    job.key.opened?.wipe()
    await job.entry?.close()
  }
}
