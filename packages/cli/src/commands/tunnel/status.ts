import { findTunnels, listStopped, type RunningTunnel } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { parse } from '../../options.js'
import { renderTunnel } from './render.js'
import { noTunnel } from './stop.js'

/** What runs, and what stopped by itself. */
export async function showTunnels(args: readonly string[], context: Context): Promise<number> {
  const usage = {
    command: 'tunnel status',
    takes: '[name...]',
    summary: 'Show the tunnels that run, and those that stopped by themselves.',
    examples: ['tunnel status', 'tunnel status --json'],
  }
  const parsed = parse(usage, args, context)
  if (!parsed) return 0
  const { words } = parsed
  const { say, places } = context
  const running = await findTunnels(places)
  const stopped = (await listStopped(places)).filter(({ key }) => !running.some(each => each.key === key))
  const known = [...running, ...stopped].map(({ tunnel }) => tunnel)
  for (const word of words) if (!known.some(({ name }) => name === word)) throw noTunnel(word, context)
  const all = known.filter(({ name }) => words.length === 0 || words.includes(name))
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
