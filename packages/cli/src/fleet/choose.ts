import type { Context } from '../context.js'
import { type ReachOptions, reachFlags, resolveDestination } from '../reach.js'
import type { Member } from './member.js'

export interface FleetOptions extends ReachOptions {
  /** `--hosts`: a list, or an inventory of Ansible's. */
  readonly hosts?: string
  /** `--parallel`: how many hosts at once. */
  readonly parallel?: string
}

/** The flags of {@link FleetOptions}. */
export const fleetFlags: readonly (readonly [flags: string, help: string, many?: 'many'])[] = [
  ...reachFlags,
  ['--hosts <file>', 'the hosts of this file, too: one a line, or an Ansible inventory (-: standard input)'],
  ['--parallel <n>', 'how many hosts at once'],
]

/**
 * All hosts that the words and the file name, each once. Everything is understood before the first one hears of us.
 * @throws KeytoolError `usage` for none at all or a word that names none, `not-found` and `damaged` for the file
 */
export async function chooseMembers(
  words: readonly string[],
  options: FleetOptions,
  context: Context,
): Promise<readonly Member[]> {
  return Promise.all(words.map(async word => ({ word, destination: await resolveDestination(word, options, context) })))
}
