import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { isKeytoolError } from '@keytool/keygen'
import {
  type Connection,
  forgetStopped,
  formatEvent,
  holdTunnel,
  isOpenToOthers,
  noteStopped,
  type RunningTunnel,
  serveTunnel,
  type Tunnel,
} from '@keytool/tunnel'
import { openAgentIfThere } from '../../agent-link.js'
import { type Context, leavingWith } from '../../context.js'
import { describeForward, describeOpening } from '../../forwards.js'
import { logIn } from '../../log-in.js'
import { showDestination } from '../../reach.js'
import type { Say } from '../../say.js'
import { readNumbers } from './command-line.js'
import { waitForLook } from './first-look.js'
import { showLive } from './live.js'
import { openLog, type WriteLine } from './log-file.js'
import { type FoundMail, findMail, forwardsTo, mailFacts, tellMail } from './mail.js'
import type { Plan } from './plan.js'
import { sayTroubles } from './say-trouble.js'

export interface HoldOptions {
  /** Told once, when everything carries. */
  readonly onUp?: () => void
  /** Whether `tunnel stop` has to find it: nobody sits before it who could press Ctrl-C. */
  readonly mustBeSeen?: boolean
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Holds the tunnel until a signal or `tunnel stop` ends it.
 * @returns 0: it was asked to end
 * @throws KeytoolError what ended it otherwise; `exists` when it runs already
 */
export async function hold(plan: Plan, outside: Context, options: HoldOptions = {}): Promise<number> {
  const { onUp = () => {}, mustBeSeen = false } = options
  // Packets that pass by would have the small heap marked again and again: a third of the work (docs/performance.md).
  setFlagsFromString('--no-incremental-marking')
  const abort = new AbortController()
  const context = leavingWith(outside, abort.signal)
  const { places, say } = context
  const { key, name, flags } = plan
  let tunnel: Tunnel | undefined
  let mail: Mail | undefined
  let wasUp = false
  const stop = async () => {
    abort.abort()
    await tunnel?.stop()
  }
  // What goes wrong in it is told where the tunnel is waited for.
  const stopBySignal = () => void stop().catch(() => {})
  const desk = await serveTunnel({ places, key, name, tunnel: () => tunnel, stop }).catch(error => {
    if (mustBeSeen) throw error
    return goOnUnseen(error, say)
  })
  for (const signal of signals) process.on(signal, stopBySignal)
  try {
    await forgetStopped(places, key)
    const log = flags.log === undefined ? undefined : await openLog(flags.log, say)
    mail = flags.mail ? await lookForMail(plan, abort.signal, context) : undefined
    tunnel = start(plan, mail, log, context)
    if (abort.signal.aborted) await tunnel.stop()
    await tunnel.up
    wasUp = true
    if ((mustBeSeen || say.json) && flags.probe !== '0') await waitForLook(tunnel)
    tell(plan, mail, tunnel, context)
    onUp()
    await watch(plan, tunnel, context)
    return 0
  } catch (error) {
    if (tunnel && (wasUp || flags.wait) && isKeytoolError(error) && error.code !== 'cancelled') {
      // What is over is worth a word to whoever asks later, and never a reason to fail in another way. One that never was has
      // told whoever started it.
      await noteStopped(places, key, reportOf(plan, tunnel), error).catch(() => {})
    }
    throw error
  } finally {
    try {
      await stop()
      // Nobody took it: its forwards could not be opened.
      await mail?.connection?.close()
    } finally {
      for (const signal of signals) process.off(signal, stopBySignal)
      await desk?.close()
    }
  }
}

/** Where no socket can be, the tunnel is as good as ever; it can't be found by others. */
function goOnUnseen(error: unknown, say: Say): undefined {
  if (!isKeytoolError(error) || error.code === 'exists') throw error
  const { message, reason = '' } = error
  const why = [message, reason].filter(text => text !== '').map(text => say.path(text))
  say.note(`tunnel status will not see this one: ${why.join(': ')}`)
}

/** The server's mail, and the connection over which it was found, which becomes the tunnel's. */
interface Mail {
  readonly found: readonly FoundMail[]
  connection: Connection | undefined
}

async function lookForMail(plan: Plan, signal: AbortSignal, context: Context): Promise<Mail> {
  const { destination, flags } = plan
  const connection = await logIn(destination, { ...flags, tellsBanner: true }, signal, context)
  try {
    return { found: await findMail(connection, destination.host), connection }
  } catch (error) {
    await connection.close()
    throw error
  }
}

function start(plan: Plan, mail: Mail | undefined, log: WriteLine | undefined, context: Context): Tunnel {
  const { destination, flags } = plan
  const { connections, probeInterval } = readNumbers(flags)
  const forwards = [...plan.forwards, ...(mail ? forwardsTo(mail.found, plan.forwards) : [])]
  // Each login has the same words: they are read once.
  let tellsBanner = true
  const sayTrouble = sayTroubles(context.say, isLive(flags, context.say))
  for (const forward of forwards.filter(isOpenToOthers)) context.say.note(describeOpening(forward))
  return holdTunnel({
    target: showDestination(destination),
    forwards,
    connect: async (signal, { dialTime }) => {
      const first = mail?.connection
      if (mail) mail.connection = undefined
      if (first) return first
      const options = { ...flags, tellsBanner, ...(dialTime !== undefined && { dialTime }) }
      const connection = await logIn(destination, options, signal, context)
      tellsBanner = false
      return connection
    },
    ready: () => hasAgent(context),
    ...(flags.wait && { wait: true }),
    ...(flags.refuse && { whileDown: 'refuse' }),
    ...(destination.settings.exitOnForwardFailure === false && { required: false }),
    ...(connections !== undefined && { limits: { connections } }),
    ...(probeInterval !== undefined && { probeInterval }),
    onForward: forward => context.say.line(describeForward(forward.spec, forward.place)),
    onEvent: event => {
      sayTrouble(event)
      log?.(formatEvent(event))
    },
  })
}

async function hasAgent(context: Context): Promise<boolean> {
  const agent = await openAgentIfThere(context)
  if (!agent) return false
  try {
    return (await agent.list()).length > 0
  } catch {
    return false
  } finally {
    agent.close()
  }
}

function tell({ destination, name, flags }: Plan, mail: Mail | undefined, tunnel: Tunnel, { say }: Context): void {
  if (mail) tellMail(mail.found, tunnel.forwards, destination, say)
  say.line(`protected as far as ${destination.host}; what lies behind it is not`)
  const { state, forwards } = tunnel.status()
  say.facts({
    name,
    pid: process.pid,
    state,
    forwards: forwards.map(({ kind, listen, to, state: found }) => ({ kind, listen, to, state: found })),
    ...(mail && { mail: mailFacts(mail.found, tunnel.forwards, destination) }),
    protectedTo: destination.host,
    log: flags.log ?? null,
  })
}

async function watch(plan: Plan, tunnel: Tunnel, { say }: Context): Promise<void> {
  const { destination, flags } = plan
  const { user, host, port, session } = destination
  const where = `${host}${port === 22 ? '' : `:${port}`} as ${user}`
  const title = session && session.name !== host ? `${session.name}: ${where}` : where
  const hide = isLive(flags, say) ? showLive(() => reportOf(plan, tunnel), title, say) : () => {}
  try {
    const error = await tunnel.done
    if (error) throw error
  } finally {
    hide()
  }
}

/** Whether the table stands at the foot of the terminal. */
function isLive({ log }: Plan['flags'], say: Say): boolean {
  return log !== '-' && say.hasFoot
}

function reportOf({ name }: Plan, tunnel: Tunnel): RunningTunnel {
  return { version: 1, name, pid: process.pid, ...tunnel.status() }
}

/** Where a tunnel in the background writes its log unless it is told otherwise. */
export function defaultLog({ name, key, destination }: Plan, { places }: Context): string {
  // Several may go to one place, each with forwards of its own.
  const which = destination.session ? '' : `-${key.slice(0, 6)}`
  return join(places.state, 'tunnels', `${name.replace(/[^\w.@-]/g, '_')}${which}.log`)
}
