import { isKeytoolError, KeytoolError, type Signer } from '@keytool/keygen'
import { askYes, hasTerminal } from '../ask.js'
import type { Context, Run } from '../context.js'
import { exitStatus } from '../exit.js'
import { type FleetOptions, fleetFlags } from '../fleet/choose.js'
import { type HostOutcome, type Member, noteOption } from '../fleet/member.js'
import { overHosts } from '../fleet/over-hosts.js'
import { reportOutcomes } from '../fleet/report.js'
import { keyFacts } from '../key-facts.js'
import { parse } from '../options.js'
import { signerFor } from '../signers.js'
import { count } from '../text.js'
import { openAgents } from './audit/agents.js'
import { findKeyFiles, usualPlaces } from './audit/key-files.js'
import { readSignatures } from './audit/ledger-uses.js'
import { readSettings } from './audit/named-files.js'
import { findFiles, findHeld } from './compromised/held-here.js'
import { findHosts } from './compromised/hosts.js'
import { type RemovalOptions, removeOn } from './compromised/on-host.js'
import { findJournals, findSignatures } from './compromised/past-here.js'
import { findRemembered, findRules, findSessions } from './compromised/settings-here.js'
import { showPlan, showRest, showTreated, type Treated } from './compromised/show.js'
import { completeSuspect, readSuspect } from './compromised/suspect.js'
import type { Here, Suspect, Trace } from './compromised/trace.js'

const usage = {
  command: 'compromised',
  takes: '<key> [host...]',
  summary: [
    'A key that somebody else may have: say every place where it is known, and take it out of each. ' +
      'KEY is a key file, its public half, or the fingerprint.',
    'Its lines go from authorized_keys on the hosts named, on those of all saved sessions, and on those that it logged ' +
      'in to by the ledger; another key or the password logs in there, and then the key has to be refused.',
    'Agents, keychain, agent.json and sessions let go of it, too. Its files stay. Nothing is done before you say yes.',
  ].join('\n'),
  examples: [
    'compromised ~/.ssh/id_ed25519 --dry-run',
    'compromised SHA256:9mFz…Q1k web1 web2',
    'compromised id_lost.pub --hosts inventory.yml --yes --password-file secret',
  ],
  options: [
    ['--dry-run', 'look everywhere, on the hosts, too; change nothing'],
    ['-y, --yes', 'ask nobody whether to go on'],
    ['--here', 'ask no host: this machine alone'],
    ['--use-it', 'where nothing else gets in, the key itself logs in, to remove itself'],
    ...fleetFlags,
    ['--password-file <file>', "the first line of FILE is the account's password (-: standard input)"],
    ['--passphrase-file <file>', "the first line of FILE is the key's passphrase (-: standard input)"],
    ['--host-key <fingerprint>', 'accept a server not known yet if it shows this key'],
  ],
} as const

interface Options extends FleetOptions, RemovalOptions {
  readonly yes?: boolean
  readonly here?: boolean
}

export const run: Run = async (args, context) => {
  const parsed = parse<Options>(usage, args, context)
  if (!parsed) return 0
  const { options } = parsed
  const [word = '', ...hosts] = parsed.words
  if (options.here && (hosts.length > 0 || options.hosts !== undefined)) {
    throw new KeytoolError('usage', '--here is for this machine alone, and hosts were named')
  }
  const named = await readSuspect(word, options, context)
  const settings = await readSettings(context)
  const paths = [...settings.files.map(({ path }) => path), ...(named.path === undefined ? [] : [named.path])]
  const { files } = await findKeyFiles(await usualPlaces(context, paths), 'chance')
  const agents = await openAgents(context)
  try {
    const here: Here = { settings, files, agents, signatures: readSignatures(context), context }
    return await treat(await completeSuspect(named, here), { args, hosts, options }, here)
  } finally {
    for (const agent of agents) agent.close()
  }
}

/** The command line. */
interface Line {
  readonly args: readonly string[]
  readonly hosts: readonly string[]
  readonly options: Options
}

async function treat(suspect: Suspect, { args, hosts, options }: Line, here: Here): Promise<number> {
  const { context } = here
  const { say } = context
  const journals = await findJournals(suspect, here)
  const traces: Trace[] = [
    ...findFiles(suspect, here),
    ...(await findHeld(suspect, here)),
    ...(await findRemembered(suspect, here)),
    ...(await findRules(suspect, here)),
    ...(await findSessions(suspect, here)),
    ...journals.traces,
    ...findSignatures(suspect, here),
  ]
  const found = options.here
    ? { members: [], named: new Set<Member>(), unknown: [] }
    : await findHosts(hosts, options, suspect, here, journals.hosts)
  showPlan(suspect, traces, found.members, context)
  const isAnythingToDo = found.members.length > 0 || traces.some(({ remove }) => remove)
  if (isAnythingToDo && !options.dryRun && !options.yes) await askFirst(traces, found.members, context)
  const signer = await signerOf(suspect, options, here)
  // First the hosts: the agent may have what is needed to prove it.
  const outcomes = await overHosts(found.members, options, context, (member, own) =>
    removeOn(member, { suspect, signer, options }, own),
  )
  // The others are found again. What the line says about the way is not about them.
  for (const [index, outcome] of outcomes.entries()) {
    const member = found.members[index]
    if (member && !found.named.has(member)) noteOption(outcome)
  }
  // Whoever has stopped it wants it stopped here, too.
  const isStopped = outcomes.some(({ code }) => code === exitStatus.cancelled)
  const treated: Treated[] = []
  for (const trace of traces) {
    if (isStopped && trace.remove) treated.push({ trace, state: 'failed', code: exitStatus.cancelled })
    else treated.push(await treatTrace(trace, options.dryRun === true, context))
  }
  const status = report(suspect, args, { treated, hosts: outcomes, unknown: found.unknown }, here)
  if (!options.dryRun && !say.json) showRest(treated, found.unknown, context)
  return status
}

/** @throws KeytoolError `refused` when the answer is no, or nobody can be asked */
async function askFirst(traces: readonly Trace[], members: readonly Member[], context: Context): Promise<void> {
  const here = count(traces.filter(({ remove }) => remove).length, 'place')
  if (!hasTerminal(context)) {
    throw new KeytoolError('refused', 'nobody can be asked whether to go on', {
      reason: 'nothing was changed',
      hint: 'look with --dry-run, then go on with --yes',
    })
  }
  if (await askYes(`Take it out of ${here} here and ${count(members.length, 'host')}?`, context)) return
  throw new KeytoolError('refused', 'stopped', { reason: 'nothing was changed' })
}

/** What signs with the key, to prove that it is refused; its passphrase is asked for only then. */
async function signerOf(
  suspect: Suspect,
  options: Options,
  { agents, files, context }: Here,
): Promise<Signer | undefined> {
  const { key } = suspect
  if (!key) return undefined
  for (const agent of agents) {
    const held = (await agent.signers()).find(({ certificate, publicKey }) => !certificate && publicKey.equals(key))
    if (held) return held
  }
  const file = files.find(({ what }) => what.kind === 'private' && what.public?.equals(key))
  const path = file?.path ?? suspect.path
  return path === undefined ? undefined : signerFor(path, key, 'later', undefined, options, context)
}

async function treatTrace(trace: Trace, dryRun: boolean, { say }: Context): Promise<Treated> {
  if (!trace.remove) return { trace, state: 'stays', code: 0 }
  if (dryRun) return { trace, state: 'would-remove', code: 0 }
  try {
    await trace.remove()
    return { trace, state: 'removed', code: 0 }
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    say.error(error)
    return { trace, state: 'failed', code: exitStatus[error.code] }
  }
}

interface Results {
  readonly treated: readonly Treated[]
  readonly hosts: readonly HostOutcome[]
  readonly unknown: readonly string[]
}

/** @returns the worst status of all */
function report(
  { fingerprint, key }: Suspect,
  args: readonly string[],
  { treated, hosts, unknown }: Results,
  { context }: Here,
): number {
  const { say } = context
  showTreated(treated, context)
  if (say.json) {
    const places = treated.map(({ trace: { kind, where, detail }, state, code }) => ({
      kind,
      where,
      detail,
      state,
      code,
    }))
    say.facts({ key: key ? keyFacts(key) : { fingerprint: { sha256: fingerprint } }, places, hosts, unknown })
  } else if (hosts.length > 0) reportOutcomes(hosts, ['compromised', ...args], context, { flags: usage.options })
  const notFound = unknown.length > 0 ? exitStatus.failed : 0
  return Math.max(notFound, ...[...treated, ...hosts].map(({ code }) => code))
}
