import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { askTunnel } from '@keytool/tunnel'
import type { Context, Run } from '../context.js'
import { parse } from '../options.js'
import { alreadyRunning } from './tunnel/already-running.js'
import { holdInBackground } from './tunnel/background.js'
import { holdAsChild, isChild } from './tunnel/child.js'
import { readNumbers, type TunnelFlags, usage } from './tunnel/command-line.js'
import { hold } from './tunnel/hold.js'
import { makePlan } from './tunnel/plan.js'

/** What is no destination; a session of such a name is reached behind `--`. */
const subcommands: Readonly<Record<string, (args: readonly string[], context: Context) => Promise<number>>> = {
  status: async (args, context) => (await import('./tunnel/status.js')).showTunnels(args, context),
  stop: async (args, context) => (await import('./tunnel/stop.js')).stopTunnels(args, context),
  install: async (args, context) => (await import('./tunnel/install.js')).installTunnel(args, context),
  uninstall: async (args, context) => (await import('./tunnel/uninstall.js')).uninstallTunnel(args, context),
}

export const run: Run = async (args, context) => {
  const [first = '', ...others] = args
  const sub = Object.hasOwn(subcommands, first) ? subcommands[first] : undefined
  if (sub) return sub(others, context)
  const parsed = parse<TunnelFlags>(usage, args, context)
  if (!parsed) return 0
  const { words, options } = parsed
  readNumbers(options)
  if (options.passwordFile === '-' && options.passphraseFile === '-') {
    throw new KeytoolError('usage', 'only one secret can come from standard input')
  }
  const plan = await makePlan(words[0] ?? '', options, context)
  if (isChild(context)) return holdAsChild(plan, context)
  if (options.background) return holdInBackground(plan, args, context)
  // Where it can't be safely asked it is not; whoever starts it says why.
  const ask = () => askTunnel(context.places, plan.key).catch(() => undefined)
  const running = await ask()
  if (running) return alreadyRunning(plan, running, context)
  try {
    return await hold(plan, context)
  } catch (error) {
    if (!isKeytoolError(error) || error.code !== 'exists') throw error
    // Two starts at the same instant: the other one won. Or it is something else that is there.
    const winner = await ask()
    if (!winner) throw error
    return alreadyRunning(plan, winner, context)
  }
}
