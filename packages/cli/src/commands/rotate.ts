import { KeytoolError } from '@keytool/keygen'
import { type Journal, RotationStore } from '@keytool/tunnel'
import { openAgentIfThere } from '../agent-link.js'
import type { Context, Run } from '../context.js'
import { fleetFlags } from '../fleet/choose.js'
import type { HostOutcome } from '../fleet/member.js'
import { checkOneStdin } from '../fleet/one-stdin.js'
import { overHosts } from '../fleet/over-hosts.js'
import { reportOutcomes } from '../fleet/report.js'
import { parse } from '../options.js'
import { follow, goBack } from './rotate/follow.js'
import { chooseHosts } from './rotate/members.js'
import { lookAt, rotateOn } from './rotate/on-host.js'
import type { RotateOptions } from './rotate/options.js'
import { choosePair, type Pair } from './rotate/pair.js'
import { beginHosts, newJournal } from './rotate/records.js'

const usage = {
  command: 'rotate',
  takes: '[old] [new] [host...]',
  summary:
    'Put a new key in the place of an old one, on each host: NEW beside OLD with its options, proved alone, OLD removed, ' +
    'proved refused. At every moment one of them lets you in; a journal knows how far it has come.',
  examples: [
    'rotate ~/.ssh/id_old ~/.ssh/id_new hana@example.com web1',
    'rotate ~/.ssh/id_old ~/.ssh/id_new --all',
    'rotate --resume',
    'rotate --rollback',
  ],
  options: [
    ['--all', 'every host of a saved session whose key is OLD, and those this rotation has begun with'],
    ['--resume', 'go on with what was interrupted; without keys: the one rotation there is'],
    ['--rollback', 'put OLD back where it was removed, and take NEW out where it was added'],
    ['-i, --identity <file>', 'the key to log in with where neither of the two may change the file'],
    ...fleetFlags,
    ['--dry-run', 'look, but write nothing, neither there nor here'],
    ['--password-file <file>', "the first line of FILE is the account's password (-: standard input)"],
    ['--passphrase-file <file>', "the first line of FILE is NEW's passphrase (-: standard input)"],
    ['--old-passphrase-file <file>', "the first line of FILE is OLD's passphrase (-: standard input)"],
    ['--host-key <fingerprint>', 'accept a server not known yet if it shows this key'],
  ],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse<RotateOptions>(usage, args, context)
  if (!parsed) return 0
  const { words, options } = parsed
  checkTogether(options)
  const store = new RotationStore(context.places.state)
  if (options.resume && words.length === 0 && (await isNothingLeft(store, context))) return 0
  const agent = await openAgentIfThere(context)
  try {
    const pair = await choosePair(words, options, store, agent, context)
    const outcomes = options.dryRun
      ? await look(words.slice(2), pair, options, context)
      : await rotate(words.slice(2), pair, store, options, context)
    return reportOutcomes(outcomes, ['rotate', ...args], context, { flags: usage.options })
  } finally {
    agent?.close()
  }
}

async function look(
  words: readonly string[],
  pair: Pair,
  options: RotateOptions,
  context: Context,
): Promise<readonly HostOutcome[]> {
  const { members } = await chooseHosts(words, pair, newJournal(pair), options, context)
  return overHosts(members, options, context, (member, own) => lookAt(member, pair, options, own))
}

async function rotate(
  words: readonly string[],
  pair: Pair,
  store: RotationStore,
  options: RotateOptions,
  context: Context,
): Promise<readonly HostOutcome[]> {
  const journal = await store.hold(pair.old.key, pair.new.key, () => newJournal(pair))
  try {
    const { members, lost } = await chooseHosts(words, pair, journal.current, options, context)
    if (members.length + lost.length === 0 && journal.current.finished !== undefined) return []
    await journal.change(current => beginHosts(current, members, pair, options))
    const outcomes = await overHosts(members, options, context, (member, own) =>
      rotateOn(member, { pair, journal, options }, own),
    )
    if (options.rollback) await goBack(journal, pair, context)
    else if (isUntouched(journal.current)) await journal.remove()
    else await follow(journal, pair, context)
    return [...outcomes, ...lost]
  } finally {
    await journal.release()
  }
}

/** One that came to nothing, anywhere, is nothing to go on with or to take back. */
function isUntouched({ hosts, followed }: Journal): boolean {
  return followed.sessions.length === 0 && followed.rule === undefined && hosts.every(({ state }) => state === 'start')
}

/** Says so where every rotation there is has come to its end. */
async function isNothingLeft(store: RotationStore, { say }: Context): Promise<boolean> {
  const { journals, broken } = await store.list()
  if (journals.length === 0 || broken.length > 0) return false
  if (journals.some(({ finished }) => finished === undefined)) return false
  say.note('nothing is left to be done: no rotation was interrupted')
  say.facts([])
  return true
}

/** @throws KeytoolError `usage` */
function checkTogether(options: RotateOptions): void {
  const { resume, rollback, all, dryRun } = options
  checkOneStdin(options)
  if (resume && rollback) throw new KeytoolError('usage', '--resume and --rollback are two ways: choose one')
  if (dryRun && (resume || rollback)) {
    throw new KeytoolError('usage', '--dry-run looks at hosts before a rotation', {
      reason: 'with --resume and --rollback there is one already',
    })
  }
  if (all && (resume || rollback)) {
    throw new KeytoolError('usage', '--all begins a rotation', {
      hint: 'without hosts, all that it has begun with are meant',
    })
  }
}
