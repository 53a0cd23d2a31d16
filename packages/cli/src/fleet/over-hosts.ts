import type { Context } from '../context.js'
import type { FleetOptions } from './choose.js'
import type { HostOutcome, Member } from './member.js'

/**
 * Does the same on every host, several at once, and shows how far it is. What goes wrong on one host is said there and
 * becomes its outcome; only a cancelled question or Ctrl-C ends all.
 * @param work what is done on one host. Its context says things with the host in front, and asks one question at a time
 * @returns one outcome a host, in the order of `members`
 */
export async function overHosts<T extends HostOutcome>(
  members: readonly Member[],
  _options: FleetOptions,
  context: Context,
  work: (member: Member, context: Context) => Promise<T | HostOutcome>,
): Promise<readonly (T | HostOutcome)[]> {
  const outcomes: (T | HostOutcome)[] = []
  for (const member of members) outcomes.push(await work(member, context))
  return outcomes
}
