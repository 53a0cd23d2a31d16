import { type ForwardSpec, formatForward, keyOfTunnel } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { type Destination, resolveDestination, showDestination } from '../../reach.js'
import { readForwards, type TunnelFlags } from './command-line.js'

/** All that is known before anything listens or is dialled. */
export interface Plan {
  readonly destination: Destination
  readonly flags: TunnelFlags
  /** Empty only with `--mail`, which finds them by asking the server. */
  readonly forwards: readonly ForwardSpec[]
  /** As `tunnel status` shows it. */
  readonly name: string
  /** The place of this very tunnel: the same at every start. */
  readonly key: string
}

/** @throws KeytoolError `usage`, and what is wrong with a session or ssh_config */
export async function makePlan(word: string, flags: TunnelFlags, context: Context): Promise<Plan> {
  const destination = await resolveDestination(word, flags, context)
  const forwards = await readForwards(word, flags, destination, context)
  const { session, hops } = destination
  const name = session?.name ?? nameOf(word, destination)
  // A session is one tunnel whatever is said besides; others are the same when they do the same.
  const identity = [
    ...hops.map(showDestination),
    showDestination(destination),
    ...forwards.map(spec => `${spec.kind} ${formatForward(spec)}`),
    String(flags.mail),
  ]
  const key = session ? keyOfSession(session.name) : keyOfTunnel(identity.join('\n'))
  return { destination, flags, forwards, name, key }
}

/** What its user calls it: an alias of ssh_config as it was typed, else where it goes. */
function nameOf(word: string, destination: Destination): string {
  const { typed, host } = destination
  return typed === word && typed.toLowerCase() !== host ? word : showDestination(destination)
}

/** The place of a saved session's tunnel. */
export function keyOfSession(name: string): string {
  return keyOfTunnel(`session\n${name}`)
}
