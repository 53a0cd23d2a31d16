import type { AgentClient } from '@keytool/agent'
import { findTunnels, listStopped, SessionStore } from '@keytool/tunnel'
import { openAgentIfThere } from '../agent-link.js'
import type { Run } from '../context.js'
import { isLocked } from '../held-keys.js'
import { defaultKeyFiles } from '../signers.js'
import { columns, count } from '../text.js'

/** `keytool` alone: where its user stands, and the likely next command. */
export const run: Run = async (_args, context) => {
  const { say, name } = context
  const keyFiles = await defaultKeyFiles(context)
  const agent = await openAgentIfThere(context)
  const held = agent && (await look(agent).finally(() => agent.close()))
  const { sessions, broken } = await new SessionStore(context.places.config).list()
  const running = await findTunnels(context.places)
  const stopped = (await listStopped(context.places)).filter(({ key }) => !running.some(each => each.key === key))
  const tunnels = [...running, ...stopped].map(({ tunnel }) => `${tunnel.name} (${tunnel.state})`)
  const names = [...sessions.map(session => session.name), ...broken.map(each => `${each.name} (can't be read)`)]
  const rows = [
    ['keys', keyFiles.length > 0 ? keyFiles.map(path => say.path(path)).join(', ') : 'none with a default name'],
    ['agent', held ? describe(held) : 'none answers'],
    ['sessions', names.length > 0 ? names.join(', ') : 'none saved'],
    ['tunnels', tunnels.length > 0 ? tunnels.join(', ') : 'none runs'],
  ]
  for (const row of columns(rows)) say.line(row)
  const idle = sessions.find(session => !running.some(({ tunnel }) => tunnel.name === session.name))
  const steps = { session: idle?.name, sessions: sessions.length, tunnels: running.length }
  say.line(`Next: ${next(name, keyFiles.length, held, steps)}    all commands: ${name} --help`)
  return 0
}

interface Held {
  readonly keys: number
  readonly locked: boolean
}

async function look(agent: AgentClient): Promise<Held> {
  return { keys: (await agent.list()).length, locked: (await isLocked(agent)) === true }
}

function describe({ keys, locked }: Held): string {
  return locked ? 'locked, shows no keys' : `answers, shows ${count(keys, 'key')}`
}

interface Steps {
  /** A saved one that no tunnel runs for. */
  readonly session: string | undefined
  /** How many are saved. */
  readonly sessions: number
  /** How many run. */
  readonly tunnels: number
}

function next(name: string, files: number, held: Held | undefined, { session, sessions, tunnels }: Steps): string {
  if (held?.locked) return `${name} unlock`
  // Who has nothing yet has a server in mind, most likely: setup makes the key on the way there.
  if (files === 0 && !held?.keys) return `${name} ${sessions === 0 ? 'setup' : 'gen'}`
  if (held === undefined) return `eval "$(${name} agent)"`
  if (held.keys === 0) return `${name} add`
  if (session !== undefined) return `${name} tunnel ${session}`
  return tunnels > 0 ? `${name} tunnel status` : `${name} install-pubkey USER@HOST`
}
