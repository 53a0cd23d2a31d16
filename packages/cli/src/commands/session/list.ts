import { SessionStore } from '@keytool/tunnel'
import type { Run } from '../../context.js'
import { parse } from '../../options.js'
import { columns } from '../../text.js'
import { describeForwards, describePlace } from './describe.js'

const usage = { command: 'session list', summary: 'List the saved sessions.', examples: ['session list --json'] }

export const run: Run = async (args, context) => {
  if (!parse(usage, args, context)) return 0
  const { say } = context
  const { sessions, broken } = await new SessionStore(context.places.config).list()
  const rows = sessions.map(session => [session.name, describePlace(session), ...describeForwards(session)])
  for (const row of columns(rows)) say.line(row)
  for (const { error } of broken) say.error(error)
  if (sessions.length + broken.length === 0) say.note('no session is saved yet')
  say.facts(sessions)
  return broken.length > 0 ? 6 : 0
}
