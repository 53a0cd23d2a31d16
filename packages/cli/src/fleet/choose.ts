import { KeytoolError } from '@keytool/keygen'
import type { Context } from '../context.js'
import { type Destination, type ReachOptions, reachFlags, resolveDestination, showDestination } from '../reach.js'
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
  const members = new Map<string, Member>()
  for (const word of words) {
    const destination = await resolveDestination(word, options, context)
    const name = nameOf(destination)
    if (!members.has(name)) members.set(name, { word, destination })
  }
  if (options.hosts !== undefined) {
    const { readMembers } = await import('./from-file.js')
    for (const member of await readMembers(options.hosts, options, context)) {
      const name = member.refused ? `refused ${member.word}` : nameOf(member.destination)
      if (!members.has(name)) members.set(name, member)
    }
  }
  if (members.size > 0) return [...members.values()]
  throw new KeytoolError('usage', 'no host was named', {
    hint: 'name one: [USER@]HOST, a saved session, or --hosts FILE',
  })
}

/** What tells one host from another: who logs in where, and by which way. */
function nameOf(destination: Destination): string {
  const { hops, proxyCommand = '', session, settings, host } = destination
  const way = hops.map(showDestination)
  const alias = session?.hostKeyAlias ?? settings.hostKeyAlias ?? ''
  return JSON.stringify([showDestination({ ...destination, host: host.toLowerCase() }), way, proxyCommand, alias])
}
