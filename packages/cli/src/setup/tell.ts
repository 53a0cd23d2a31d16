import { findLoginService, shellLines } from '@keytool/agent'
import { askTunnel, type ForwardSpec, formatTarget, loginLog, type RunningTunnel } from '@keytool/tunnel'
import { styleOf } from '../commands/agent/options.js'
import { findOther, nameOther } from '../commands/agent/other.js'
import { foreseeTroubles } from '../commands/tunnel/foresee.js'
import { mailFacts, tellMail } from '../commands/tunnel/mail.js'
import { keyOfSession } from '../commands/tunnel/plan.js'
import type { Context } from '../context.js'
import { describeForward } from '../forwards.js'
import { worldOf } from '../login-service.js'
import { resolveDestination, showDestination } from '../reach.js'
import type { Outcome } from './carry-out.js'
import type { Job } from './job.js'

/** What came of it: the forwards, what to enter in the mail program, what is protected and what is not. */
export async function tellResult(job: Job, outcomes: readonly Outcome[], caller: Context): Promise<void> {
  const { context, destination, forwards, mail, name } = job
  const { say, places } = context
  const carried = forwards.map(spec => ({ spec, ...('port' in spec.listen && { port: spec.listen.port }) }))
  const running = forwards.length > 0 ? await askTunnel(places, keyOfSession(name)).catch(() => undefined) : undefined
  const described = forwards.map(spec => describeForward(spec, placeIn(running, spec)))
  for (const text of described) say.line(`  ${text}`)
  if (mail.length > 0) tellMail(mail, carried, destination, say)
  if (forwards.length > 0) say.line(`protected as far as ${destination.host}; what lies behind it is not`)
  const { facts } = worldOf(context)
  const notes =
    forwards.length > 0 && !job.flags.onlyNow
      ? await foreseeTroubles(name, await resolveDestination(name, {}, context), facts, context)
      : []
  for (const note of notes) say.note(note)
  const isChanged = outcomes.some(({ state }) => state === 'made')
  if (!isChanged) say.line('nothing was changed: all of it was there already')
  if (caller.env['SSH_AUTH_SOCK'] !== places.agentSocket) {
    await tellOther(caller)
    say.line(`to have this shell ask the agent: ${shellLines(styleOf({}, caller), places.agentSocket).trimEnd()}`)
  }
  await tellProfile(job)
  const isDead = running?.forwards.some(({ state }) => state === 'dead') === true
  if (isDead) say.line(`Next: ${context.name} doctor ${name}`)
  else if (isChanged)
    say.line(`Next: ${forwards.length > 0 ? `${context.name} tunnel status` : `${context.name} connect ${name}`}`)
  say.facts({
    ...{ name, host: destination.host, port: destination.port, user: destination.user },
    changed: isChanged,
    steps: outcomes,
    forwards: described,
    ...(mail.length > 0 && { mail: mailFacts(mail, carried, destination) }),
    ...(forwards.length > 0 && { protectedTo: destination.host, log: loginLog(facts, name) }),
    notes,
  })
}

/** Where a forward listens whose port was left open. */
function placeIn(running: RunningTunnel | undefined, spec: ForwardSpec): string | undefined {
  if (spec.kind === 'remote' || 'path' in spec.listen || spec.listen.port !== 0) return undefined
  return running?.forwards.find(({ kind, to }) => kind === spec.kind && to === formatTarget(spec))?.listen
}

/** What says that there is a desktop here. */
const DESKTOP = ['XDG_CURRENT_DESKTOP', 'DISPLAY', 'WAYLAND_DISPLAY'] as const

/** An autostart entry is read by desktops alone: on a console, in a container, by SSH nothing would come of it. */
async function tellProfile({ context, flags, forwards, name }: Job): Promise<void> {
  const { say, env } = context
  if (flags.onlyNow || DESKTOP.some(each => env[each])) return
  if ((await findLoginService(worldOf(context).facts)).kind !== 'xdg') return
  say.line('only a desktop reads its autostart; for logins without one, in ~/.profile:')
  say.line(`  eval "$(${context.name} agent -s)" >/dev/null`)
  if (forwards.length > 0) {
    say.line(`  (${context.name} tunnel --background --wait ${name} </dev/null >/dev/null 2>&1 &)`)
  }
}

/** What a plan has to say besides its steps. */
export function tellPlan(job: Job, outcomes: readonly Outcome[]): void {
  const { context, forwards, name, destination, entry, flags } = job
  const { say } = context
  for (const spec of forwards) say.line(`  ${describeForward(spec)}`)
  if (!entry && flags.mail) say.line(`  its mail's forwards are found by asking ${destination.host}`)
  say.line('nothing was changed')
  say.facts({
    name,
    server: showDestination(destination),
    changed: false,
    steps: outcomes,
    forwards: forwards.map(spec => describeForward(spec)),
  })
}

/** An agent that this shell asked so far goes on as it did. */
async function tellOther(caller: Context): Promise<void> {
  const other = await findOther(caller, caller.places.agentSocket)
  if (!other) return
  const what = other.keys === undefined ? 'no agent that answers' : `${nameOther(other)}, which was left as it is`
  caller.say.note(`this shell asks ${what}`)
}
