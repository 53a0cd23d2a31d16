import type { Context } from '../context.js'
import { chooseMembers, type FleetOptions } from './choose.js'
import type { Forge, ForgeFlags } from './forge/forge.js'
import { type ForgeOptions, overForges, planForges } from './forge/on-forge.js'
import { type HostOutcome, type Member, noteOption } from './member.js'
import { overHosts, parallelOf } from './over-hosts.js'

/** Where a key may lie: accounts on GitHub and its like, and hosts. */
export interface Places {
  readonly forges: readonly Forge[]
  readonly members: readonly Member[]
}

type PlaceOptions = FleetOptions & ForgeFlags & ForgeOptions

/**
 * All places that the line names, understood before anything is asked or sent. Hosts need not be named where a forge is.
 * @throws KeytoolError as {@link planForges} and {@link chooseMembers} do
 */
export async function choosePlaces(words: readonly string[], options: PlaceOptions, context: Context): Promise<Places> {
  parallelOf(options)
  const forges = planForges(options)
  const isForForges = forges.length > 0 && words.length === 0 && options.hosts === undefined
  return { forges, members: isForForges ? [] : await chooseMembers(words, options, context) }
}

/** Does what is to be done in each: forges first, one after the other, then all hosts. */
export async function overPlaces(
  { forges, members }: Places,
  options: PlaceOptions,
  context: Context,
  onForge: (forge: Forge) => Promise<HostOutcome>,
  onHost: (member: Member, context: Context) => Promise<HostOutcome>,
): Promise<readonly HostOutcome[]> {
  const onForges = await overForges(forges, context, onForge)
  for (const outcome of onForges) noteOption(outcome)
  return [...onForges, ...(await overHosts(members, options, context, onHost))]
}
