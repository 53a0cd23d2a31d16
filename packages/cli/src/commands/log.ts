import { resolve } from 'node:path'
import { type LedgerRecord, ledgerFolder, readLedger } from '@keytool/agent'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Context, Run } from '../context.js'
import { parse, wholeNumber } from '../options.js'
import { columns, count } from '../text.js'
import { type LogFilter, matcherOf } from './log/filter.js'
import { describeEntry } from './log/show.js'
import { verify } from './log/verify.js'

const usage = {
  command: 'log',
  summary: 'Show what the agent has signed and refused, for whom and when.',
  examples: ['log', 'log --since 2d --host github.com', 'log --verify'],
  options: [
    ['-n, --count <count>', 'the last COUNT entries (default: 20, and all with --json; 0: all)'],
    ['--since <when>', 'from then on: 30m, 12h, 7d, or a date such as 2026-07-01 or 2026-07-01T09:30'],
    ['--key <key>', 'of this key: its fingerprint, or a part of its comment'],
    ['--host <host>', 'for this host, as known_hosts names it'],
    ['--verify', 'say whether all of it is there, as it was written; if not, exit with 6'],
    ['-a <socket>', 'of the agent at this socket'],
  ],
} as const

interface LogOptions extends LogFilter {
  count?: string
  verify?: boolean
  a?: string
}

/** Shown where nobody said how many. */
const DEFAULT_COUNT = 20

export const run: Run = async (args, context) => {
  const parsed = parse<LogOptions>(usage, args, context)
  if (!parsed) return 0
  const { options } = parsed
  const wanted = options.count === undefined ? undefined : wholeNumber(options.count, '--count', 0, 1_000_000_000)
  const matches = matcherOf(options, Date.now())
  const socket = options.a === undefined ? undefined : resolve(options.a)
  const folder = ledgerFolder(context.places, socket)
  try {
    if (options.verify) return await verify(folder, socket, context)
    const limit = wanted ?? (context.say.json ? 0 : DEFAULT_COUNT)
    show(folder, { ...(limit > 0 && { count: limit }), ...(matches && { matches }) }, context)
    return 0
  } catch (error) {
    throw isKeytoolError(error) && error.code === 'not-found' ? noLedger(folder, socket, error, context) : error
  }
}

interface Selection {
  readonly count?: number
  readonly matches?: (record: LedgerRecord) => boolean
}

function show(folder: string, selection: Selection, { say, name }: Context): void {
  const { entries, unreadable } = readLedger({ folder, ...selection })
  for (const row of columns(entries.map(describeEntry))) say.line(row)
  say.facts(entries)
  if (entries.length === 0) say.note('no entry fits')
  if (unreadable > 0) say.note(`${count(unreadable, 'line')} can't be read; to see where: ${name} log --verify`)
}

function noLedger(folder: string, socket: string | undefined, cause: unknown, { name, say }: Context): KeytoolError {
  const place = socket === undefined ? '' : ` -a ${say.word(socket)}`
  return new KeytoolError('not-found', 'there is no ledger of this agent', {
    reason: `none is in ${folder}`,
    hint: `the agent begins one when it starts: eval "$(${name} agent${place})"`,
    cause,
  })
}
