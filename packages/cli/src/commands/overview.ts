import { SessionStore } from '@keytool/tunnel'
import { openAgentIfThere } from '../agent-link.js'
import type { Run } from '../context.js'
import { defaultKeyFiles } from '../signers.js'
import { columns, count } from '../text.js'

/** `keytool` alone: where its user stands, and the likely next command. */
export const run: Run = async (_args, context) => {
  const { say, name } = context
  const keyFiles = await defaultKeyFiles(context)
  const agent = await openAgentIfThere(context)
  const held = agent && (await agent.list().finally(() => agent.close()))
  const { sessions, broken } = await new SessionStore(context.places.config).list()
  const names = [...sessions.map(session => session.name), ...broken.map(each => `${each.name} (can't be read)`)]
  const rows = [
    ['keys', keyFiles.length > 0 ? keyFiles.map(path => say.path(path)).join(', ') : 'none with a default name'],
    ['agent', held ? `answers, shows ${count(held.length, 'key')}` : 'none answers'],
    ['sessions', names.length > 0 ? names.join(', ') : 'none saved'],
  ]
  for (const row of columns(rows)) say.line(row)
  say.line(`Next: ${next(name, keyFiles.length, held?.length, sessions[0]?.name)}    all commands: ${name} --help`)
  return 0
}

function next(name: string, files: number, held: number | undefined, session: string | undefined): string {
  if (files === 0 && !held) return `${name} gen`
  if (held === undefined) return `eval "$(${name} agent)"`
  if (held === 0) return `${name} add`
  return session === undefined ? `${name} install-pubkey USER@HOST` : `${name} tunnel ${session}`
}
