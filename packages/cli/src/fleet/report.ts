import type { Context } from '../context.js'
import type { HostOutcome } from './member.js'

/**
 * The table of all hosts and, where some are not done, the line that does the rest; `--json`: the outcomes.
 * @param again the command line that did this, without the program's name: `['install-pubkey', ...args]`
 * @returns the worst one's exit status
 */
export function reportOutcomes(outcomes: readonly HostOutcome[], _again: readonly string[], context: Context): number {
  context.say.facts(outcomes)
  return Math.max(0, ...outcomes.map(({ code }) => code))
}
