import { checkKeyOptions } from '@keytool/tunnel'
import { openAgentIfThere } from '../agent-link.js'
import type { Run } from '../context.js'
import { chooseKey } from '../fleet/chosen-key.js'
import { installOnForge } from '../fleet/forge/on-forge.js'
import { checkOneStdin } from '../fleet/one-stdin.js'
import { choosePlaces, overPlaces } from '../fleet/places.js'
import { reportOutcomes } from '../fleet/report.js'
import { parse } from '../options.js'
import { installOn } from './install-pubkey/install-on.js'
import { type InstallFlags, usage } from './install-pubkey/options.js'

export const run: Run = async (args, context) => {
  const parsed = parse<InstallFlags>(usage, args, context)
  if (!parsed) return 0
  const { words, options } = parsed
  checkOneStdin(options)
  if (options.options !== undefined) checkKeyOptions(options.options)
  const places = await choosePlaces(words, options, context)
  const agent = await openAgentIfThere(context)
  try {
    // Opened before any host is touched: a key that can't be proved afterwards is not put anywhere.
    const when = options.dryRun || places.members.length === 0 ? 'later' : 'now'
    const chosen = await chooseKey(options.identity, when, agent, options, context)
    const outcomes = await overPlaces(
      places,
      options,
      context,
      forge => installOnForge(forge, chosen.key, options, context),
      (member, own) => installOn(member, chosen, options, own),
    )
    return reportOutcomes(outcomes, ['install-pubkey', ...args], context, { flags: usage.options, done: 'ready' })
  } finally {
    agent?.close()
  }
}
