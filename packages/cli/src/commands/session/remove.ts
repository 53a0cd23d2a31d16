import { askTunnel, SessionStore, tunnelAtLogin } from '@keytool/tunnel'
import type { Context, Run } from '../../context.js'
import { kindsThere, worldOf } from '../../login-service.js'
import { parse } from '../../options.js'
import { finalStatuses } from '../tunnel/install.js'
import { keyOfSession } from '../tunnel/plan.js'

const usage = {
  command: 'session remove',
  takes: '<name>',
  summary: 'Remove a session.',
  examples: ['session remove mail'],
}

export const run: Run = async (args, context) => {
  const parsed = parse(usage, args, context)
  if (!parsed) return 0
  const [name = ''] = parsed.words
  await new SessionStore(context.places.config).remove(name)
  context.say.done(`session ${name} removed; its key and host keys stay`)
  await tellOfTunnel(name, context)
  context.say.facts({ removed: name })
  return 0
}

/** What was made of the session and is not removed with it. */
async function tellOfTunnel(name: string, context: Context): Promise<void> {
  const { say, places } = context
  const running = await askTunnel(places, keyOfSession(name)).catch(() => undefined)
  if (running) say.note(`its tunnel goes on: ${context.name} tunnel stop ${name} ends it`)
  const { facts } = worldOf(context)
  const kinds = await kindsThere(tunnelAtLogin(name, finalStatuses), facts)
  if (kinds.length > 0) say.note(`its tunnel is still started at login: ${context.name} tunnel uninstall ${name}`)
}
