import { showForeign } from '@keytool/keygen'
import type { Context } from '../context.js'
import type { Usage } from '../options.js'
import { count, widthOf } from '../text.js'
import { lineForRest } from './line-for-rest.js'
import type { HostOutcome } from './member.js'

export interface ReportOptions {
  /** The command's own options: which of them take a value. Without it, a word behind an option is left alone. */
  readonly flags?: Usage['options']
  /** What a host is that all is well with: `ready`. Default `done`. */
  readonly done?: string
}

/**
 * The table of all hosts and, where some are not done, the line that does the rest; `--json`: the outcomes.
 * @param again the command line that did this, without the program's name: `['install-pubkey', ...args]`
 * @returns the worst one's exit status, which is the largest
 */
export function reportOutcomes(
  outcomes: readonly HostOutcome[],
  again: readonly string[],
  context: Context,
  { flags, done = 'done' }: ReportOptions = {},
): number {
  const { say } = context
  const isAlone = outcomes.length === 1
  const hosts = outcomes.map(({ host }) => showForeign(host))
  const width = Math.max(0, ...hosts.map(widthOf))
  // Colours take no room: what is wide is the word that stands where no mark can be shown.
  const markWidth = say.unicode ? 1 : Math.max(0, ...outcomes.map(({ code }) => say.mark(code === 0).length))
  for (const [index, { code, detail, state }] of outcomes.entries()) {
    const host = hosts[index] ?? ''
    // Of one host alone what went wrong was said just now, as an error, with what to do.
    const text = isAlone && state === 'failed' ? '' : ` ${detail}`
    const mark = say.mark(code === 0)
    const room = say.unicode ? '' : ' '.repeat(markWidth - mark.length)
    say.line(`${host}${' '.repeat(width - widthOf(host))}  ${mark}${text === '' ? '' : `${room}${text}`}`)
  }
  const rest = outcomes.filter(({ code }) => code !== 0)
  if (rest.length > 0 && !isAlone) {
    say.line(`${outcomes.length - rest.length} of ${count(outcomes.length, 'host')} ${done}. Again for the rest:`)
    say.line(`  ${[context.name, ...lineForRest(again, outcomes, flags).map(word => say.word(word))].join(' ')}`)
  }
  say.facts(outcomes)
  return Math.max(0, ...outcomes.map(({ code }) => code))
}
