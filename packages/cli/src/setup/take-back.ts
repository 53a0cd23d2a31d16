import { KeytoolError } from '@keytool/keygen'
import { SessionStore } from '@keytool/tunnel'
import { askYes, hasTerminal } from '../ask.js'
import type { Context } from '../context.js'
import { type Destination, resolveDestination, resolveHost } from '../reach.js'
import { whileAlone } from './alone.js'
import { line, type Outcome, sweep } from './carry-out.js'
import { removeEmpty, removeTraces } from './folders.js'
import type { Step, Undoing } from './job.js'
import { askingOurs } from './muted.js'
import type { SetupFlags } from './options.js'
import { findRecord } from './place.js'
import { otherThanOurs } from './prepare.js'
import { listRecords, type RecordFile, textIn } from './record.js'
import { steps } from './steps.js'

/** `setup --undo`: all that setup did for one server, and nothing else, backwards. */
export async function takeBack(word: string | undefined, wanted: SetupFlags, caller: Context): Promise<number> {
  const { say } = caller
  const record = await findRecord(word, wanted, caller)
  if (!record) {
    say.done(`setup did nothing${word === undefined ? '' : ' there'} that could be taken back; nothing was changed`)
    say.facts({ undone: [] })
    return 0
  }
  const context = askingOurs(caller)
  const otherAgent = otherThanOurs(caller)
  const flags = await decideAboutKey(record, wanted, context)
  const { name, folders } = record.value
  const look = async (): Promise<Undoing> => ({
    ...{ context, otherAgent, flags, record },
    others: (await listRecords(context)).filter(each => each.path !== record.path),
    destination: await whereItLed(record, context),
  })
  if (flags.dryRun) {
    say.facts({ name, would: foretell(await look()) })
    return 0
  }
  const undone = await whileAlone(context, async () => {
    await record.checkUnchanged()
    return undoAll(await look())
  })
  await removeEmpty(folders, context)
  say.facts({ name, undone })
  return 0
}

/** By the session that setup saved, as long as it leads there: it may know the hosts on the way. */
async function whereItLed({ value }: RecordFile, context: Context): Promise<Destination> {
  const { name, host, port, user, jump } = value
  const reach = { port: String(port), login: user, ...(jump !== undefined && { jump }) }
  const { sessions } = await new SessionStore(context.places.config).list()
  const isThere = sessions.some(each => each.name === name && each.host === host && each.port === port)
  return isThere ? resolveDestination(name, reach, context) : resolveHost(host, reach, context)
}

/** A key that was made is asked about: nothing brings it back. @throws KeytoolError `refused` where nobody can be asked */
async function decideAboutKey(record: RecordFile, flags: SetupFlags, context: Context): Promise<SetupFlags> {
  const made = record.madeBy('key')
  if (!made || flags.keepKey || flags.yes || flags.dryRun) return flags
  const path = context.say.path(textIn(made, 'path'))
  if (hasTerminal(context)) {
    const isGone = await askYes(`Remove ${path}, too? setup made it; nothing brings it back`, context, true)
    return { ...flags, keepKey: !isGone }
  }
  throw new KeytoolError('refused', `${path} would be removed, which setup made`, {
    reason: 'nothing brings it back; nothing was changed',
    hint: 'say --yes if that is meant, or --keep-key',
  })
}

function foretell(undoing: Undoing): Outcome[] {
  const { say } = undoing.context
  const outcomes = backwards(undoing).map(step => {
    const heir = heirOf(step, undoing)
    const detail = heir ? leftTo(heir) : step.foretell(undoing)
    say.line(line(step, detail))
    return { step: step.name, state: 'to-do' as const, detail }
  })
  say.line('nothing was changed')
  return outcomes
}

function backwards({ record }: Undoing): Step[] {
  return steps.filter(({ name }) => record.madeBy(name)).reverse()
}

async function undoAll(undoing: Undoing): Promise<Outcome[]> {
  const { context, record, flags } = undoing
  const { say } = context
  const outcomes: Outcome[] = []
  const print = record.madeBy('key')?.facts['fingerprint'] ?? record.madeBy('held')?.facts['fingerprint']
  for (const step of backwards(undoing)) {
    const heir = heirOf(step, undoing)
    const made = record.madeBy(step.name)
    try {
      if (made?.state === 'begun') await sweep(made, undoing)
      const detail = heir ? await leave(step, heir, undoing) : await step.undo(undoing)
      await record.note(step.name, undefined)
      say.done(line(step, detail))
      outcomes.push({ step: step.name, state: 'done', detail })
    } catch (error) {
      say.line(`${say.mark(false)} ${line(step, 'see below')}`)
      if (step.name === 'server') say.note('without the server: the same line with --leave-server')
      throw error
    }
  }
  const { folders, traces } = record.value
  const [heir] = undoing.others
  if (heir) {
    // Whoever is undone last takes these away.
    await heir.change({ folders: unite(folders, heir.value.folders), traces: unite(traces, heir.value.traces) })
  } else if (!flags.keepKey) {
    const kept = await removeTraces(traces, typeof print === 'string' ? print : undefined, context)
    for (const path of kept) say.note(`${say.path(path)} stays: it tells of other keys, too`)
  }
  await record.remove()
  return outcomes
}

/** Another setup that leans on what this one did: from now on it is its own to take back. */
function heirOf({ sharedBy }: Step, { others, record }: Undoing): RecordFile | undefined {
  if (sharedBy === undefined) return undefined
  if (sharedBy === 'all') return others[0]
  const { key } = record.value
  return others.find(({ value }) => value.key !== undefined && value.key === key)
}

function leftTo(heir: RecordFile): string {
  return `stays: the setup of ${heir.value.name} uses it, too`
}

async function leave(step: Step, heir: RecordFile, undoing: Undoing): Promise<string> {
  const made = undoing.record.madeBy(step.name)
  if (made && !heir.madeBy(step.name)) await heir.note(step.name, made)
  return leftTo(heir)
}

function unite(one: readonly string[], other: readonly string[]): string[] {
  return [...one, ...other.filter(each => !one.includes(each))]
}
