import { type KeytoolError, showForeign } from '@keytool/keygen'
import type { Destination } from '../reach.js'

/** One host of those a command goes to. */
export interface Member {
  /** As it was typed, or stands in the file of hosts. */
  readonly word: string
  readonly destination: Destination
  /** The key that logs in there, where the file of hosts names one. */
  readonly identity?: string
  /** What names it on a command line, where that is not `word`; `undefined` where only the file of hosts can. */
  readonly typed?: string | undefined
  /** Why nobody can go there, where the file of hosts says too little or too much: `overHosts` does no work on it. */
  readonly refused?: KeytoolError
}

/** What came of one host: a row of the table, and of `--json` (`host`, `user`, `state`, `code`, `detail`). */
export interface HostOutcome {
  readonly host: string
  readonly user?: string
  readonly state: string
  /** Exit status of this host alone. */
  readonly code: number
  /** One line, escaped already. */
  readonly detail: string
}

/** What every outcome of a host begins with. */
export function nameMember({ word, destination }: Member): Pick<HostOutcome, 'host' | 'user'> {
  return { host: word, user: destination.user }
}

/** A host's name at the beginning of a line. */
export function showMember({ word }: Pick<Member, 'word'>): string {
  return showForeign(word)
}

const members = new WeakMap<HostOutcome, Member>()

/** An outcome is a row for people and programs; whose it is beyond that stands beside it. */
export function noteMember(outcome: HostOutcome, member: Member): void {
  members.set(outcome, member)
}

/** What names the host of an outcome on a command line; `undefined` where only the file of hosts can. */
export function typedFor(outcome: HostOutcome): string | undefined {
  const member = members.get(outcome)
  return member && 'typed' in member ? member.typed : outcome.host
}

const byOption = new WeakSet<HostOutcome>()

/** An outcome of something that is no host word: an option of the line names it, and stays there. */
export function noteOption(outcome: HostOutcome): void {
  byOption.add(outcome)
}

export function isNamedByOption(outcome: HostOutcome): boolean {
  return byOption.has(outcome)
}
