import type { AgentClient } from '@keytool/agent'
import { SessionStore } from '@keytool/tunnel'
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
  const names = [...sessions.map(session => session.name), ...broken.map(each => `${each.name} (can't be read)`)]
  const rows = [
    ['keys', keyFiles.length > 0 ? keyFiles.map(path => say.path(path)).join(', ') : 'none with a default name'],
    ['agent', held ? describe(held) : 'none answers'],
    ['sessions', names.length > 0 ? names.join(', ') : 'none saved'],
  ]
  for (const row of columns(rows)) say.line(row)
  say.line(`Next: ${next(name, keyFiles.length, held, sessions[0]?.name)}    all commands: ${name} --help`)
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

function next(name: string, files: number, held: Held | undefined, session: string | undefined): string {
  if (held?.locked) return `${name} unlock`
  if (files === 0 && !held?.keys) return `${name} gen`
  if (held === undefined) return `eval "$(${name} agent)"`
  if (held.keys === 0) return `${name} add`
  return session === undefined ? `${name} install-pubkey USER@HOST` : `${name} tunnel ${session}`
}
