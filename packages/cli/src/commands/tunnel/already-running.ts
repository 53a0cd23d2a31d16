import { type ForwardSpec, formatListen, formatTarget, type RunningTunnel } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { describeSaved } from '../../forwards.js'
import type { Plan } from './plan.js'

/** What a second start says. A session is one tunnel, whatever is said besides: what the first start lacks of it is named. */
export function alreadyRunning(
  { name, forwards }: Plan,
  running: RunningTunnel,
  { name: program, say }: Context,
): number {
  const { pid } = running
  say.line(`tunnel ${name}: already running (pid ${pid})`)
  say.facts({ state: 'already running', name, pid })
  const missing = forwards.filter(spec => !running.forwards.some(forward => carries(forward, spec)))
  for (const spec of missing) say.note(`not among its forwards: ${describeSaved(spec)}`)
  if (missing.length > 0)
    say.note(`to start it with all of them, end it first: ${program} tunnel stop ${say.word(name)}`)
  return 0
}

function carries({ kind, listen, to }: RunningTunnel['forwards'][number], spec: ForwardSpec): boolean {
  // Where the port was left open any will do.
  const isChosen = 'port' in spec.listen && spec.listen.port === 0
  const isThere = isChosen ? listen.replace(/\d+$/, '0') === formatListen(spec) : listen === formatListen(spec)
  return kind === spec.kind && to === formatTarget(spec) && isThere
}
