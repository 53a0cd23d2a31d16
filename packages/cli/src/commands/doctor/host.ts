import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { AgentClient } from '@keytool/agent'
import { isKeytoolError, showForeign } from '@keytool/keygen'
import { type Connection, type Diagnosis, diagnose, type ForwardSpec, type Observed } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { policyFor } from '../../hosts-of.js'
import { type Destination, resolveDestination } from '../../reach.js'
import { signersFor } from '../../signers-for.js'
import { continueThrough, startWay, type Way } from '../../way.js'
import { attempt } from './attempt.js'
import { explainAttempt } from './explain.js'
import { checkForwards, checkPorts, forwardsOf } from './forwards.js'
import type { DoctorOptions } from './options.js'
import type { Report, Step } from './report.js'
import { checkShell } from './shell.js'
import { describeSteps } from './steps.js'
import { cluesOf, type Stop, stopsOf } from './stop.js'

/** What was found in one part of the way. */
interface Part {
  readonly steps: readonly Step[]
  readonly diagnosis?: Diagnosis
}

/**
 * Goes the way to a host as `connect` does, and looks at each step of it.
 * @throws KeytoolError `usage` for words that can't be read; `cancelled`; what is wrong with a session or ssh_config
 */
export async function examineHost(word: string, options: DoctorOptions, context: Context): Promise<Report> {
  const destination = await resolveDestination(word, options, context)
  const forwards = await forwardsOf(word, options, destination, context)
  const stops = stopsOf(word, destination, options, context)
  const steps: Step[] = []
  const open: Connection[] = []
  const report = ({ steps: more, diagnosis }: Part, stop: Stop): Report => ({
    ...{ host: word, user: destination.user, port: destination.port, steps: [...steps, ...more] },
    ...(diagnosis && { diagnosis }),
    ...(!stop.isLast && { at: showForeign(stop.destination.host) }),
  })
  let way: Way | undefined
  let before: Stop | undefined
  try {
    for (const stop of stops) {
      context.say.transient(`looking at ${showForeign(stop.destination.host)}`)
      way ??= startWay(stop.destination, undefined, context)
      const part = await examineStop(stop, before, way, options, context)
      if (!part.connection) {
        return report(part, part.diagnosis?.cause === 'forward-denied' && before ? before : stop)
      }
      open.push(part.connection)
      steps.push(...part.steps)
      if (stop.isLast) return report(await examineUse(part.connection, stop, forwards, context), stop)
      way = continueThrough(part.connection, stop.destination)
      before = stop
    }
    throw new Error('a way has an end')
  } finally {
    context.say.transient('')
    for (const connection of open.reverse()) await connection.close()
  }
}

async function examineStop(
  stop: Stop,
  before: Stop | undefined,
  way: Way,
  options: DoctorOptions,
  context: Context,
): Promise<Part & { readonly connection?: Connection }> {
  const { destination } = stop
  const by: Observed['by'] = before ? 'hop' : destination.proxyCommand === undefined ? 'socket' : 'program'
  const unreadable = await checkKnownHosts(stop, context)
  if (unreadable) return unreadable
  const chosen = (stop.isLast ? options.identity : undefined) ?? destination.session?.key
  const unlocking = stop.isLast ? options : {}
  const offered = (agent: AgentClient | undefined) =>
    signersFor(chosen, destination.settings, agent, unlocking, context)
  const addresses = by === 'socket' ? findAddresses(destination) : undefined
  const started = performance.now()
  const { hostKey } = options
  const first = await attempt(stop, way, by, { keys: offered, ...(hostKey !== undefined && { hostKey }) }, context)
  const took = Math.round(performance.now() - started)
  const steps = await describeSteps(stop, first, await addresses, took, context)
  if (first.connection) return { steps, connection: first.connection }
  const failed = { stop, before, way, by, options, chosen, offered }
  return { steps, diagnosis: await explainAttempt(failed, first, context) }
}

/** What is read before anybody is dialled. */
async function checkKnownHosts(stop: Stop, context: Context): Promise<Part | undefined> {
  const clues = cluesOf(stop, undefined, context)
  try {
    await policyFor(stop.destination, { dryRun: true }, context).knownHosts.entries()
    return undefined
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    const { code, message, reason, hint } = error
    const cause = code === 'unsupported' ? 'settings' : 'known-hosts'
    const evidence = [message, ...(reason === undefined ? [] : [reason])]
    const own = cause === 'settings' && hint !== undefined ? { advice: hint } : {}
    return { steps: [{ step: 'settings', ok: false, text: message }], diagnosis: diagnose(cause, clues, evidence, own) }
  }
}

/** A host's addresses, as they may be shown; empty for none, `undefined` where nothing is looked up. */
async function findAddresses({ host }: Destination): Promise<string | undefined> {
  if (isIP(host) !== 0) return undefined
  const found = await lookup(host, { all: true }).catch(() => [])
  return found.map(({ address }) => address).join(', ')
}

/** What the login is for: the forwards, or a shell where there are none. */
async function examineUse(
  connection: Connection,
  stop: Stop,
  forwards: readonly ForwardSpec[],
  context: Context,
): Promise<Part> {
  if (forwards.length === 0) return checkShell(connection, stop, context)
  const far = await checkForwards(connection, forwards, stop, context)
  if (far.diagnosis) return far
  const near = await checkPorts(forwards, stop, context)
  return { ...near, steps: [...far.steps, ...near.steps] }
}
