import {
  type Connection,
  checkForward,
  checkListen,
  type Diagnosis,
  diagnose,
  type ForwardSpec,
  findTunnels,
} from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { describeForward } from '../../forwards.js'
import type { Destination } from '../../reach.js'
import { readForwards } from '../tunnel/command-line.js'
import type { DoctorOptions } from './options.js'
import type { Step } from './report.js'
import { cluesOf, type Stop } from './stop.js'

/**
 * The forwards that are looked at: the session's or ssh_config's, and those of the flags. None is no mistake here.
 * @throws KeytoolError `usage` for one that can't be read
 */
export async function forwardsOf(
  word: string,
  options: DoctorOptions,
  destination: Destination,
  context: Context,
): Promise<readonly ForwardSpec[]> {
  const { session, settings } = destination
  const { localForwards, remoteForwards, dynamicForwards } = settings
  const { local = [], remote = [], dynamic = [] } = session?.forwards ?? {}
  const flags = [...(options.local ?? []), ...(options.remote ?? []), ...(options.dynamic ?? [])]
  const all = [...flags, ...local, ...remote, ...dynamic, ...localForwards, ...remoteForwards, ...dynamicForwards]
  return all.length === 0 ? [] : readForwards(word, options, destination, context)
}

/** Whether each port is free here. One that a tunnel of ours holds is in use as it should be. */
export async function checkPorts(
  forwards: readonly ForwardSpec[],
  stop: Stop,
  context: Context,
): Promise<{ steps: Step[]; diagnosis?: Diagnosis }> {
  const steps: Step[] = []
  for (const spec of forwards) {
    const found = await checkListen(spec)
    if (found === 'free') continue
    const text = describeForward(spec)
    const owner = found === 'barred' ? undefined : found.owner
    const tunnel = owner && (await findTunnels(context.places)).find(each => each.tunnel.pid === owner.pid)?.tunnel
    const holder = owner ? `${owner.name ?? 'a program'} (pid ${owner.pid})` : 'nobody knows who'
    const why =
      found === 'barred'
        ? 'may not be listened on here'
        : tunnel
          ? `is held by the tunnel ${tunnel.name}`
          : `is held by ${holder}`
    steps.push({ step: 'port', ok: tunnel !== undefined, text: `${text} ${why}` })
    if (tunnel) continue
    const remedy = owner && { remedy: `ps -p ${owner.pid}` }
    return {
      steps,
      diagnosis: diagnose('port-in-use', cluesOf(stop, undefined, context), [`${text} ${why}`], remedy ?? {}),
    }
  }
  return { steps }
}

/** Asks the server for each, one after the other; the first that does not carry is the cause. */
export async function checkForwards(
  connection: Connection,
  forwards: readonly ForwardSpec[],
  stop: Stop,
  context: Context,
): Promise<{ steps: Step[]; diagnosis?: Diagnosis }> {
  const steps: Step[] = []
  for (const spec of forwards) {
    const text = describeForward(spec)
    const { cause, error, grantsOthers } = await checkForward(connection, spec, stop.destination.port)
    steps.push({ step: 'forward', ok: cause === undefined, text })
    if (cause === undefined) continue
    const evidence = [
      text,
      ...(error ? [[error.message, error.reason].filter(Boolean).join(': ')] : []),
      ...(grantsOthers ? ['it grants other ports: this one is not allowed, or taken there'] : []),
    ]
    return { steps, diagnosis: diagnose(cause, cluesOf(stop, undefined, context), evidence) }
  }
  return { steps }
}
