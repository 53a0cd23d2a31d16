import { setMaxListeners } from 'node:events'
import { isKeytoolError, showForeign } from '@keytool/keygen'
import { type Context, leavingWith } from '../context.js'
import { exitStatus } from '../exit.js'
import { wholeNumber } from '../options.js'
import { Board } from './board.js'
import type { FleetOptions } from './choose.js'
import { HostSay } from './host-say.js'
import { type HostOutcome, type Member, nameMember, noteMember, showMember } from './member.js'
import { createRun, endRun, type FleetRun, joinRun } from './run.js'

/**
 * How many hosts at once, when nobody says another number: with more, two cores are no faster. Those that are one machine
 * may be turned away by it (MaxStartups begins at ten), and are gone to again.
 */
const PARALLEL = 16
const MAX_PARALLEL = 256

/**
 * Does the same on every host, several at once, and shows how far it is. What goes wrong on one host is said there and
 * becomes its outcome. A cancelled question or Ctrl-C ends all: what is not done then has an outcome that says so
 * (`stopped`, 130).
 * @param work what is done on one host. Its context says things with the host in front, and asks one question at a time;
 * its `leaving` says when to stop, and `say.transient` is what the terminal shows as being done there
 * @returns one outcome a host, in the order of `members`
 * @throws KeytoolError `usage` for a number of hosts that is none
 */
export async function overHosts<T extends HostOutcome>(
  members: readonly Member[],
  options: FleetOptions,
  context: Context,
  work: (member: Member, context: Context) => Promise<T | HostOutcome>,
): Promise<readonly (T | HostOutcome)[]> {
  const parallel = parallelOf(options)
  const stopping = new AbortController()
  // Each host listens in several places.
  setMaxListeners(0, stopping.signal)
  const shared = leavingWith(context, stopping.signal)
  const run = createRun(members.length, shared)
  const board = new Board(members.length, context.say)
  const stop = (): void => stopping.abort()
  process.once('SIGINT', stop)
  const outcomes: (T | HostOutcome)[] = []
  const waiting = members.entries()
  const goOn = async (): Promise<void> => {
    for (const [index, member] of waiting) {
      const outcome = await onHost(member, work, { run, board, stopping })
      noteMember(outcome, member)
      outcomes[index] = outcome
      run.password.noteDone()
    }
  }
  try {
    await Promise.all(Array.from({ length: Math.min(parallel, members.length) }, goOn))
    return outcomes
  } finally {
    process.off('SIGINT', stop)
    board.close()
    await endRun(run)
  }
}

interface Hosts {
  readonly run: FleetRun
  readonly board: Board
  readonly stopping: AbortController
}

async function onHost<T extends HostOutcome>(
  member: Member,
  work: (member: Member, context: Context) => Promise<T | HostOutcome>,
  { run, board, stopping }: Hosts,
): Promise<T | HostOutcome> {
  if (stopping.signal.aborted) return stopped(member)
  const own = contextFor(member, run, board)
  board.begin(member.word)
  try {
    if (member.refused) throw member.refused
    const outcome = await work(member, own)
    board.end(member.word, outcome.code === 0)
    return outcome
  } catch (error) {
    board.end(member.word, false)
    // What breaks because we leave is no fault of the host.
    if (stopping.signal.aborted) return stopped(member)
    own.say.error(error)
    const code = isKeytoolError(error) ? exitStatus[error.code] : exitStatus.failed
    if (isCancelled(error)) {
      stopping.abort()
      return stopped(member)
    }
    return { ...nameMember(member), state: 'failed', code, detail: showForeign((error as Error).message) }
  }
}

function contextFor(member: Member, run: FleetRun, board: Board): Context {
  const onStatus = (text: string): void => board.note(member.word, text)
  // Of one alone nobody has to be told whom it is about.
  const host = run.size === 1 ? undefined : showMember(member)
  const say = new HostSay({ say: run.context.say, host, onStatus })
  return joinRun(Object.create(run.context, { say: { value: say, enumerable: true } }) as Context, run)
}

function stopped(member: Member): HostOutcome {
  return { ...nameMember(member), state: 'stopped', code: exitStatus.cancelled, detail: 'stopped before it was done' }
}

function isCancelled(error: unknown): boolean {
  return isKeytoolError(error) && error.code === 'cancelled'
}

/** @throws KeytoolError `usage` */
export function parallelOf({ parallel }: FleetOptions): number {
  return parallel === undefined ? PARALLEL : wholeNumber(parallel, '--parallel', 1, MAX_PARALLEL)
}
