import { resolve } from 'node:path'
import { formatAuthorizedKey, type HostRecord, isGoingBack, type Journal, type RotatedKey } from '@keytool/tunnel'
import type { RotatedMember } from './members.js'
import type { RotateOptions } from './options.js'
import type { Pair, RotatedHalf } from './pair.js'

const empty = { state: 'start', old: [], before: [], added: [] } as const

export function newJournal(pair: Pair): Journal {
  return {
    version: 1,
    old: describeHalf(pair.old),
    new: describeHalf(pair.new),
    since: new Date().toISOString(),
    hosts: [],
    followed: { sessions: [] },
  }
}

function describeHalf({ key, file }: RotatedHalf): RotatedKey {
  return { line: formatAuthorizedKey(key), ...(file !== undefined && { file }) }
}

/**
 * The journal before the first host hears of us. A call by the hosts' names begins anew with those that were done: they are
 * looked at again. What is known of lines that were removed stays known.
 */
export function beginHosts(
  journal: Journal,
  members: readonly RotatedMember[],
  pair: Pair,
  options: RotateOptions,
): Journal {
  const known = new Map(journal.hosts.map(host => [host.id, host]))
  for (const { id, word, destination, isListed } of members) {
    const { host, port, user } = destination
    const record = known.get(id) ?? { ...empty, id, word, host, port, user, reach: reachOf(options, isListed) }
    known.set(id, options.rollback ? turnBack(record) : options.resume ? record : beginAnew(record))
  }
  const { finished: _, ...others } = journal
  return { ...others, old: describeHalf(pair.old), new: describeHalf(pair.new), hosts: [...known.values()] }
}

function turnBack(record: HostRecord): HostRecord {
  if (isGoingBack(record.state)) return record
  return { ...record, state: record.state === 'start' ? 'rolled-back' : 'restoring' }
}

function beginAnew(record: HostRecord): HostRecord {
  if (record.state === 'done') return { ...record, state: 'start' }
  return record.state === 'rolled-back' ? { ...record, ...empty } : record
}

/** What finds the way there once more without the command line. */
function reachOf(options: RotateOptions, isListed: boolean): HostRecord['reach'] {
  const { port, login, jump, config, option, hosts } = options
  const isFile = config !== undefined && config !== 'none'
  return {
    ...(port !== undefined && { port }),
    ...(login !== undefined && { login }),
    ...(jump !== undefined && { jump }),
    ...(config !== undefined && { config: isFile ? resolve(config) : config }),
    ...(option && { option }),
    ...(isListed && hosts !== undefined && hosts !== '-' && { hosts: resolve(hosts) }),
  }
}
