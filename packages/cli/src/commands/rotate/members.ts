import { fingerprint, isKeytoolError, KeytoolError, showForeign } from '@keytool/keygen'
import { type HostRecord, type Journal, meanings, SessionStore } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { exitStatus } from '../../exit.js'
import { publicHalf } from '../../files.js'
import { chooseMembers, type FleetOptions } from '../../fleet/choose.js'
import type { HostOutcome, Member } from '../../fleet/member.js'
import { type Destination, showDestination } from '../../reach.js'
import { count } from '../../text.js'
import type { RotateOptions } from './options.js'
import type { Pair } from './pair.js'

/** A host of this rotation. */
export interface RotatedMember extends Member {
  readonly id: string
  /** Whether it came from a file of hosts. */
  readonly isListed: boolean
}

export interface ChosenHosts {
  readonly members: readonly RotatedMember[]
  /** Those the journal knows and nobody finds the way to any more. */
  readonly lost: readonly HostOutcome[]
}

/**
 * The hosts of this call: those named; with `--all` those of sessions that use the old key; with `--resume` and
 * `--rollback` those of the journal, unless some are named.
 * @throws KeytoolError `usage` for none, `not-found` when nothing is known of any
 */
export async function chooseHosts(
  words: readonly string[],
  pair: Pair,
  journal: Journal,
  options: RotateOptions,
  context: Context,
): Promise<ChosenHosts> {
  const isNamed = words.length > 0 || options.hosts !== undefined
  if (!isNamed && (options.resume || options.rollback)) {
    if (journal.hosts.length === 0) throw new KeytoolError('not-found', 'there is no rotation of these keys')
    if (options.resume && journal.finished !== undefined) {
      context.say.note(`nothing is left to be done: finished ${journal.finished}`)
      return none
    }
    return fromJournal(journal, options, context)
  }
  const all = options.all ? await namesOfSessions(pair, context) : []
  const begun = options.all ? await fromJournal(journal, options, context) : none
  const more = [...words, ...all]
  if (more.length === 0 && options.hosts === undefined && options.all) {
    if (begun.members.length > 0) return begun
    throw new KeytoolError('not-found', 'no host is known where the old key is used', {
      reason: `no saved session has ${fingerprint(pair.old.key)} as its key`,
      hint: `name the hosts: ${context.name} rotate OLD NEW HOST...`,
    })
  }
  const members = await identify(more, options, context)
  if (!options.resume && !options.rollback) return { ...begun, members: withoutTwins([...members, ...begun.members]) }
  return knownTo(journal, members)
}

const none: ChosenHosts = { members: [], lost: [] }

/** Who logs in where, and by which way: the same for every word that leads there. */
export function idOf(destination: Destination): string {
  const { host, hops, proxyCommand } = destination
  const place = showDestination({ ...destination, host: host.toLowerCase() })
  const way = [...hops.map(showDestination), ...(proxyCommand === undefined ? [] : [`by ${proxyCommand}`])]
  return way.length === 0 ? place : `${place} via ${way.join(',')}`
}

async function identify(words: readonly string[], options: FleetOptions, context: Context): Promise<RotatedMember[]> {
  const typed = new Set(words)
  const members = await chooseMembers(words, options, context)
  return members.map(member => ({ ...member, id: idOf(member.destination), isListed: !typed.has(member.word) }))
}

function withoutTwins(members: readonly RotatedMember[]): RotatedMember[] {
  return [...new Map(members.toReversed().map(member => [member.id, member])).values()].toReversed()
}

function knownTo(journal: Journal, members: readonly RotatedMember[]): ChosenHosts {
  for (const { id, word } of members) {
    if (journal.hosts.some(host => host.id === id)) continue
    throw new KeytoolError('not-found', `${showForeign(word)} is no host of this rotation`, {
      reason: 'nothing was changed',
      hint: 'without hosts, all of them are meant',
    })
  }
  return { members, lost: [] }
}

async function fromJournal(journal: Journal, options: RotateOptions, context: Context): Promise<ChosenHosts> {
  const isLeft = ({ state }: HostRecord) => state !== 'done' && state !== 'rolled-back'
  const wanted = options.resume ? journal.hosts.filter(isLeft) : journal.hosts
  const members: RotatedMember[] = []
  const lost: HostOutcome[] = []
  const files = new Map<string, Promise<RotatedMember[]>>()
  for (const record of wanted) {
    const member = await findAgain(record, options, files, context)
    if (member) members.push(member)
    else lost.push(lostHost(record))
  }
  return { members, lost }
}

/** The host of a record, by the word that led there: only if it leads there still. */
async function findAgain(
  { id, word, reach }: HostRecord,
  options: RotateOptions,
  files: Map<string, Promise<RotatedMember[]>>,
  context: Context,
): Promise<RotatedMember | undefined> {
  const { hosts, ...way } = { ...reach, ...flagsOf(options) } as FleetOptions
  const name = JSON.stringify([hosts, way])
  if (hosts !== undefined && !files.has(name))
    files.set(
      name,
      identify([], { ...way, hosts }, context).catch(() => []),
    )
  const listed = (await files.get(name)) ?? []
  const named = hosts === undefined ? await identify([word], way, context).catch(passOver) : []
  return [...listed, ...named].find(member => member.id === id)
}

function passOver(error: unknown): [] {
  if (isKeytoolError(error)) return []
  throw error
}

function flagsOf({ port, login, jump, config, option }: RotateOptions): FleetOptions {
  return {
    ...(port !== undefined && { port }),
    ...(login !== undefined && { login }),
    ...(jump !== undefined && { jump }),
    ...(config !== undefined && { config }),
    ...(option && { option }),
  }
}

function lostHost({ word, user, state }: HostRecord): HostOutcome {
  const detail = `the way there, as it was, is not known any more (${meanings[state]}): the same call as then goes on`
  return { host: word, user, state: 'failed', code: exitStatus['not-found'], detail }
}

/** Saved sessions that log in with the old key. Those that name none may use any key: that is said. */
async function namesOfSessions({ old }: Pair, { places, say }: Context): Promise<string[]> {
  const { sessions, broken } = await new SessionStore(places.config).list()
  const names: string[] = []
  let keyless = 0
  for (const { name, key } of sessions) {
    if (key === undefined) keyless++
    else if (await isKeyOf(key, old.file, old.key)) names.push(name)
  }
  if (keyless > 0) {
    say.note(`${count(keyless, 'session')} without a key of its own left out: name those hosts that the old key opens`)
  }
  if (broken.length > 0) say.note(`${count(broken.length, 'session')} can't be read, and left out`)
  return names
}

/** Whether a session's key is this one: by the file itself, else by its path. */
export async function isKeyOf(path: string, file: string | undefined, key: Pair['old']['key']): Promise<boolean> {
  const shown = await publicHalf(path).catch(() => publicHalf(`${path}.pub`).catch(() => undefined))
  return shown ? shown.plain.equals(key) : path === file
}
