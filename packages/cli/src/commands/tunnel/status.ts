import { findTunnels, listStopped, type RunningTunnel } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { parse } from '../../options.js'
import { renderTunnel } from './render.js'

/** What runs, and what stopped by itself. */
export async function showTunnels(args: readonly string[], context: Context): Promise<number> {
  const usage = {
    command: 'tunnel status',
    summary: 'Show the tunnels that run, and those that stopped by themselves.',
    examples: ['tunnel status', 'tunnel status --json'],
  }
  if (!parse(usage, args, context)) return 0
  const { say, places } = context
  const running = await findTunnels(places)
  const stopped = (await listStopped(places)).filter(({ key }) => !running.some(each => each.key === key))
  const all = [...running, ...stopped].map(({ tunnel }) => tunnel)
  for (const tunnel of all) {
    for (const line of renderTunnel(tunnel, { now: Date.now(), unicode: say.unicode })) say.line(line)
  }
  if (all.length === 0 && !say.json) say.note('no tunnel runs')
  say.facts(all.map(factsOf))
  return 0
}

/** As `--json` has it. One that has not begun to connect is as good as connecting. */
function factsOf({ version, state, ...tunnel }: RunningTunnel): Omit<RunningTunnel, 'version'> {
  return { ...tunnel, state: state === 'idle' ? 'connecting' : state }
}
