import { KeytoolError } from '@keytool/keygen'
import { findTunnels, forgetStopped, listStopped, stopTunnel } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { parse } from '../../options.js'

/** Ends tunnels by name, or all of them. */
export async function stopTunnels(args: readonly string[], context: Context): Promise<number> {
  const usage = {
    command: 'tunnel stop',
    takes: '[name...]',
    summary: 'End tunnels by the name that tunnel status shows.',
    examples: ['tunnel stop mail', 'tunnel stop --all'],
    options: [['--all', 'end all that run']],
  } as const
  const parsed = parse<{ all?: boolean }>(usage, args, context)
  if (!parsed) return 0
  const { words, options } = parsed
  if ((words.length === 0) === !options.all) {
    throw new KeytoolError('usage', 'say which tunnels: names, or --all', { hint: `${context.name} tunnel status` })
  }
  const { say, places } = context
  const running = await findTunnels(places)
  const stopped = await listStopped(places)
  const isMeant = ({ tunnel }: { tunnel: { name: string } }) => options.all === true || words.includes(tunnel.name)
  for (const word of words) {
    if ([...running, ...stopped].some(({ tunnel }) => tunnel.name === word)) continue
    throw noTunnel(word, context)
  }
  const ended: string[] = []
  for (const { key, tunnel } of running.filter(isMeant)) {
    await stopTunnel(places, key)
    ended.push(tunnel.name)
    say.done(`tunnel ${tunnel.name} stopped`)
  }
  for (const { key, tunnel } of stopped.filter(isMeant)) {
    await forgetStopped(places, key)
    if (!ended.includes(tunnel.name)) say.done(`tunnel ${tunnel.name} had stopped already`)
  }
  if (running.length + stopped.length === 0 && !say.json) say.note('no tunnel runs')
  say.facts({ stopped: ended })
  return 0
}

/** The error that there is no tunnel of this name. */
export function noTunnel(word: string, { name }: Context): KeytoolError {
  return new KeytoolError('not-found', `no tunnel ${word} runs`, { hint: `${name} tunnel status` })
}
