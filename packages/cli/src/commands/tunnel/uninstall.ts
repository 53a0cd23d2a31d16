import { forgetStopped, stopTunnel, tunnelAtLogin } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { type LoginOptions, uninstallFlags } from '../../login-flags.js'
import { takeBack } from '../../login-service.js'
import { parse } from '../../options.js'
import { finalStatuses } from './install.js'
import { keyOfSession } from './plan.js'

const usage = {
  command: 'tunnel uninstall',
  takes: '<session>',
  summary: 'Take back what tunnel install did, its log included. The session stays, and need not be there any more.',
  examples: ['tunnel uninstall mail', 'tunnel uninstall mail --dry-run'],
  options: uninstallFlags,
}

/** Whatever kinds of ours are there. */
export async function uninstallTunnel(args: readonly string[], context: Context): Promise<number> {
  const parsed = parse<LoginOptions>(usage, args, context)
  if (!parsed) return 0
  const [name = ''] = parsed.words
  const { places } = context
  const key = keyOfSession(name)
  return takeBack(
    `tunnel ${name}`,
    tunnelAtLogin(name, finalStatuses),
    parsed.options,
    context,
    async ({ supervises }) => {
      if (!supervises) await stopTunnel(places, key)
      await forgetStopped(places, key)
    },
  )
}
