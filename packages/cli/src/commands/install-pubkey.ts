import { checkKeyOptions } from '@keytool/tunnel'
import { openAgentIfThere } from '../agent-link.js'
import type { Context, Run } from '../context.js'
import { chooseMembers } from '../fleet/choose.js'
import { type ChosenKey, chooseKey } from '../fleet/chosen-key.js'
import type { Forge } from '../fleet/forge/forge.js'
import { installOnForge, overForges, planForges } from '../fleet/forge/on-forge.js'
import { type HostOutcome, type Member, noteOption } from '../fleet/member.js'
import { checkOneStdin } from '../fleet/one-stdin.js'
import { overHosts, parallelOf } from '../fleet/over-hosts.js'
import { reportOutcomes } from '../fleet/report.js'
import { parse } from '../options.js'
import { installOn } from './install-pubkey/install-on.js'
import { type InstallFlags, usage } from './install-pubkey/options.js'

export const run: Run = async (args, context) => {
  const parsed = parse<InstallFlags>(usage, args, context)
  if (!parsed) return 0
  const { words, options } = parsed
  const places = await plan(words, options, context)
  const agent = await openAgentIfThere(context)
  try {
    // Opened before any host is touched: a key that can't be proved afterwards is not put anywhere.
    const when = options.dryRun || places.members.length === 0 ? 'later' : 'now'
    const chosen = await chooseKey(options.identity, when, agent, options, context)
    const outcomes = await installOnAll(places, chosen, options, context)
    return reportOutcomes(outcomes, ['install-pubkey', ...args], context, { flags: usage.options, done: 'ready' })
  } finally {
    agent?.close()
  }
}

/** Where a key may be put. */
interface Places {
  readonly forges: readonly Forge[]
  readonly members: readonly Member[]
}

/** All that the line says is understood before anything is asked or sent. */
async function plan(words: readonly string[], options: InstallFlags, context: Context): Promise<Places> {
  checkOneStdin(options)
  parallelOf(options)
  if (options.options !== undefined) checkKeyOptions(options.options)
  const forges = planForges(options)
  const isForForges = forges.length > 0 && words.length === 0 && options.hosts === undefined
  return { forges, members: isForForges ? [] : await chooseMembers(words, options, context) }
}

async function installOnAll(
  { forges, members }: Places,
  chosen: ChosenKey,
  options: InstallFlags,
  context: Context,
): Promise<readonly HostOutcome[]> {
  const onForges = await overForges(forges, context, forge => installOnForge(forge, chosen.key, options, context))
  for (const outcome of onForges) noteOption(outcome)
  const onHosts = await overHosts(members, options, context, (member, own) => installOn(member, chosen, options, own))
  return [...onForges, ...onHosts]
}
