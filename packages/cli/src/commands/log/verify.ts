import { join } from 'node:path'
import { connectAgent, type LedgerProblem, type Verification, verifyLedger } from '@keytool/agent'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { count } from '../../text.js'
import { lookFor, placeOf } from '../agent/options.js'
import { showTime } from './show.js'

/**
 * Says whether a ledger is whole, and where its agent runs, whether it is the one that this agent has written.
 * @param socket of the agent whose ledger it is, where it was named
 * @throws KeytoolError `damaged` with the place where it is not, or where one was found broken before and is kept;
 * `not-found`
 */
export async function verify(folder: string, socket: string | undefined, context: Context): Promise<number> {
  const { say } = context
  const told = await askAgent(socket, context)
  const expected = told?.head
  const result = await verifyLedger({ folder, ...(expected && { expected }) })
  const { problem, aside, unsealed, unfinished } = result
  if (problem) throw isBroken(folder, problem)
  const whole = describeWhole(result)
  const [broken] = aside
  if (broken !== undefined) throw await wasBroken(join(folder, broken), whole)
  say.done(`the ledger is whole: ${whole}${expected ? ', as the running agent wrote it' : ''}`)
  if (unsealed > 0 || unfinished > 0) {
    const half = unfinished > 0 ? ', and half a line is left' : ''
    say.note(`the agent ended unexpectedly: ${count(unsealed, 'entry', 'entries')} not sealed${half}`)
  }
  // The ledger's own begin with its place.
  for (const trouble of told?.troubles ?? [])
    if (trouble.startsWith(folder)) say.note(`the agent: ${say.path(trouble)}`)
  say.facts({ whole: true, ...result, compared: expected !== undefined })
  return 0
}

interface Told {
  readonly head: { readonly count: number; readonly hash: string }
  readonly troubles: readonly string[]
}

/** So long an agent may take to answer, in ms. */
const PATIENCE = 3000

/** What the agent that writes this ledger says of its end; undefined when none runs that writes one. */
async function askAgent(socket: string | undefined, context: Context): Promise<Told | undefined> {
  try {
    const place = placeOf(socket === undefined ? {} : { socket }, context)
    if (!(await lookFor(place))) return undefined
    const agent = await connectAgent(place.socket, { timeout: PATIENCE })
    try {
      return (await agent.supports('status@keytool')) ? readTold(await agent.status()) : undefined
    } finally {
      agent.close()
    }
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    const reason = error.reason === undefined ? '' : `: ${error.reason}`
    context.say.note(`not compared with the running agent: ${context.say.path(`${error.message}${reason}`)}`)
    return undefined
  }
}

function readTold({ ledger, troubles }: { readonly [fact: string]: unknown }): Told | undefined {
  if (typeof ledger !== 'object' || ledger === null) return undefined
  const { count, hash } = ledger as Record<string, unknown>
  if (typeof count !== 'number' || typeof hash !== 'string') return undefined
  const texts = Array.isArray(troubles) ? troubles.filter(each => typeof each === 'string') : []
  return { head: { count, hash }, troubles: texts }
}

function isBroken(folder: string, problem: LedgerProblem): KeytoolError {
  return new KeytoolError('damaged', `the ledger is not whole: ${placeOfProblem(folder, problem)}`, {
    reason: problem.what,
    hint: 'to see what is there: keytool log',
  })
}

async function wasBroken(folder: string, whole: string): Promise<KeytoolError> {
  return new KeytoolError('damaged', `an earlier ledger is not whole: ${await explainAside(folder)}`, {
    reason: `the one after it is: ${whole}`,
    hint: `keep ${folder} for whoever looks into it; moved away, it is not named again`,
  })
}

async function explainAside(folder: string): Promise<string> {
  try {
    const { problem } = await verifyLedger({ folder })
    return problem ? `${placeOfProblem(folder, problem)}: ${problem.what}` : folder
  } catch (error) {
    if (isKeytoolError(error)) return `${folder}: ${error.message}`
    throw error
  }
}

function describeWhole({ entries, first, since }: Verification): string {
  const from = first > 1 ? `, from number ${first} on` : ''
  return `${count(entries, 'entry', 'entries')}${since === undefined ? '' : ` since ${showTime(since)}`}${from}`
}

function placeOfProblem(folder: string, { file, line }: LedgerProblem): string {
  const path = file === undefined ? folder : join(folder, file)
  return `${path}${line === undefined ? '' : ` line ${line}`}`
}
