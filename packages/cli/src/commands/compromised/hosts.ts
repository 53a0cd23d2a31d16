import { isKeytoolError, showForeign } from '@keytool/keygen'
import type { HostRecord } from '@keytool/tunnel'
import { chooseMembers, type FleetOptions } from '../../fleet/choose.js'
import type { Member } from '../../fleet/member.js'
import { type ReachOptions, resolveDestination, showDestination } from '../../reach.js'
import type { Here, Suspect } from './trace.js'

export interface HostsFound {
  readonly members: readonly Member[]
  /** Those of them that the command line names. */
  readonly named: ReadonlySet<Member>
  /** What the ledger and rotations name, and nobody can go to by that name. Escaped already. */
  readonly unknown: readonly string[]
}

/**
 * Every host where the key may lie: those named, all saved sessions, those the key logged in to, those of rotations. What
 * options say about the way is about those named.
 * @throws KeytoolError as `chooseMembers`, for those named
 */
export async function findHosts(
  words: readonly string[],
  options: FleetOptions,
  suspect: Suspect,
  { settings, signatures, context }: Here,
  records: readonly HostRecord[],
): Promise<HostsFound> {
  const members = new Map<string, Member>()
  const note = (member: Member) => {
    const name = member.refused ? `refused ${member.word}` : showDestination(member.destination)
    if (!members.has(name)) members.set(name, member)
  }
  const isNamed = words.length > 0 || options.hosts !== undefined
  for (const member of isNamed ? await chooseMembers(words, options, context) : []) note(member)
  const named = new Set(members.values())
  const { config, option } = options
  const common: ReachOptions = { ...(config !== undefined && { config }), ...(option && { option }) }
  const unknown = new Set<string>()
  const tryWord = async (word: string, more: ReachOptions = {}) => {
    try {
      note({ word, destination: await resolveDestination(word, { ...common, ...more }, context) })
    } catch (error) {
      if (!isKeytoolError(error)) throw error
      unknown.add(showForeign(word))
    }
  }
  for (const { name } of settings.sessions) await tryWord(name)
  for (const { word, reach } of records) await tryWord(word, reach)
  for (const { user, host, purpose } of signatures.get(suspect.fingerprint) ?? []) {
    if (purpose === 'login' && host !== undefined) await tryWord(wordFor(user, host))
  }
  return { members: [...members.values()], named, unknown: [...unknown] }
}

/** What known_hosts calls a host, as a destination: `[host]:port` has its port in an address of its own form. */
function wordFor(user: string | undefined, host: string): string {
  const [, name, port] = /^\[([^\]]+)\]:(\d+)$/.exec(host) ?? []
  const at = user === undefined ? '' : `${user}@`
  if (name === undefined) return `${at}${host}`
  const encoded = user === undefined ? '' : `${encodeURIComponent(user)}@`
  return `ssh://${encoded}${name.includes(':') ? `[${name}]` : name}:${port}`
}
