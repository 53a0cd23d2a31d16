import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { isKeytoolError, KeytoolError, showForeign } from '@keytool/keygen'
import {
  askTunnel,
  forgetStopped,
  listStopped,
  loginLog,
  type RunningTunnel,
  stopTunnel,
  tunnelAtLogin,
} from '@keytool/tunnel'
import { holdInBackground } from '../../commands/tunnel/background.js'
import type { TunnelFlags } from '../../commands/tunnel/command-line.js'
import { finalStatuses } from '../../commands/tunnel/install.js'
import { keyOfSession, makePlan } from '../../commands/tunnel/plan.js'
import type { Context } from '../../context.js'
import { worldOf } from '../../login-service.js'
import { showProgress } from '../../progress.js'
import { count } from '../../text.js'
import { haveAtLogin, lookAtLogin, takeFromLogin } from '../at-login.js'
import type { Job, Step, Undoing } from '../job.js'
import { muted } from '../muted.js'
import type { SetupFlags } from '../options.js'

/** How long it may take to come up, and then to look at its targets. In milliseconds. */
const UP_TIME = 30_000
const LOOK_TIME = 5_000
const BEAT = 50

/** The session's tunnel: up now, and started at every login. */
export const tunnelStep: Step = {
  name: 'tunnel',
  title: 'tunnel',
  async look({ name, forwards, flags, context }) {
    if (forwards.length === 0) return { state: 'done', text: 'not needed: nothing is to be forwarded' }
    const running = await askTunnel(context.places, keyOfSession(name))
    const isUp = running?.state === 'up' && carries(running, forwards)
    const { words, isThere } = await describeLogin(name, flags, context)
    if (isUp && isThere) return { state: 'done', text: `is up, ${countAlive(running, context)}${words}` }
    return { state: 'to-do', text: `would be up, ${count(forwards.length, 'forward')}${words}` }
  },
  apply: bringUp,
  undo: takeDown,
  foretell: ({ record }) => `${record.value.name} would be stopped, and nothing would start it any more`,
}

/** What starts it at login, or would, in words. */
async function describeLogin(name: string, flags: SetupFlags, context: Context) {
  if (flags.onlyNow) return { isThere: true, words: '' }
  const { kind, isThere } = await lookAtLogin(tunnelAtLogin(name, finalStatuses), flags, context)
  return { isThere, words: `, started at every login by ${kind.title}` }
}

/** Whether a tunnel that runs has just these forwards. */
function carries({ forwards }: RunningTunnel, wanted: Job['forwards']): boolean {
  const listensAt = ({ kind, listen }: Job['forwards'][number]) =>
    forwards.some(each => {
      if ('path' in listen) return each.listen === listen.path
      // Any port was wanted: which one it is, the tunnel says.
      return listen.port === 0 ? each.kind === kind : each.listen.endsWith(`:${listen.port}`)
    })
  return forwards.length === wanted.length && wanted.every(spec => spec.kind === 'remote' || listensAt(spec))
}

async function bringUp(job: Job): Promise<string> {
  const { name, forwards, flags, record, context } = job
  const { places } = context
  const key = keyOfSession(name)
  const subject = tunnelAtLogin(name, finalStatuses)
  const old = await askTunnel(places, key)
  const isOutdated = old !== undefined && !carries(old, forwards)
  await record.note('tunnel', { state: 'begun', facts: {} })
  if (isOutdated) await takeFromLogin(subject, async () => {}, context)
  if (isOutdated) await stopTunnel(places, key)
  await forgetStopped(places, key)
  const isTaken = async () => (await askTunnel(places, key).catch(() => undefined)) !== undefined
  const login = flags.onlyNow ? undefined : await haveAtLogin(subject, flags, isTaken, context)
  if (!login?.kind.supervises && !(await isTaken())) await startAsAtLogin(name, context)
  await record.note('tunnel', { state: 'done', facts: {} })
  const progress = showProgress(`waiting for the tunnel ${name}`, context)
  const running = await untilLooked(key, context).finally(() => progress.end())
  const words = countAlive(running, context)
  return `${name} is up, ${words}${login ? `; started at every login by ${login.kind.title}` : ''}`
}

/** How many lead somewhere; those that don't are named, with the reason. */
function countAlive({ forwards }: RunningTunnel, { say }: Context): string {
  const dead = forwards.filter(({ state }) => state === 'dead')
  for (const { listen, to, lastError } of dead) {
    say.note(showForeign(`${listen} -> ${to} is dead${lastError === null ? '' : `: ${lastError}`}`))
  }
  const all = count(forwards.length, 'forward')
  return `${dead.length === 0 ? all : `${forwards.length - dead.length} of ${all}`} alive`
}

/** With the words that a login has, so that it leaves nothing behind that those would not. */
async function startAsAtLogin(name: string, context: Context): Promise<void> {
  const { facts } = worldOf(context)
  const flags: TunnelFlags = { log: loginLog(facts, name) }
  const plan = await makePlan(name, flags, context)
  await holdInBackground(plan, ['--quiet', '--log', loginLog(facts, name), name], muted(context))
}

/** Waits until it is up, and every forward was looked at through it. @throws KeytoolError why it is not */
async function untilLooked(key: string, context: Context): Promise<RunningTunnel> {
  const { places, name } = context
  const start = Date.now()
  let last: RunningTunnel | undefined
  while (Date.now() < start + UP_TIME) {
    last = await askTunnel(places, key).catch(() => undefined)
    if (last?.state === 'up') break
    const stopped = (await listStopped(places)).find(each => each.key === key)
    if (!last && stopped) throw notUp(stopped.tunnel.lastError, name)
    await sleep(BEAT)
  }
  if (last?.state !== 'up') throw notUp(last?.lastError ?? null, name)
  for (const end = Date.now() + LOOK_TIME; Date.now() < end; await sleep(BEAT)) {
    last = (await askTunnel(places, key).catch(() => undefined)) ?? last
    if (last.forwards.every(({ state }) => state !== 'unknown')) break
  }
  return last
}

function notUp(why: string | null, name: string): KeytoolError {
  return new KeytoolError('failed', 'the tunnel does not come up', {
    ...(why !== null && { reason: showForeign(why) }),
    hint: `${name} tunnel status`,
  })
}

async function takeDown({ context, record }: Undoing): Promise<string> {
  const { name } = record.value
  const { places } = context
  const key = keyOfSession(name)
  const stop = async () => {
    try {
      await stopTunnel(places, key)
    } catch (error) {
      if (!isKeytoolError(error) || error.code !== 'unreachable') throw error
    }
  }
  const subject = tunnelAtLogin(name, finalStatuses)
  await takeFromLogin(subject, async kind => (kind.supervises ? undefined : stop()), context)
  if (await askTunnel(places, key).catch(() => undefined)) await stop()
  await forgetStopped(places, key)
  // Of one that nothing starts at login the log is left.
  const log = loginLog(worldOf(context).facts, name)
  for (const file of [log, `${log}.1`]) await rm(file, { force: true })
  return `${name} is stopped, and nothing starts it any more`
}
