import { SessionStore } from '@keytool/tunnel'
import type { Run } from '../../context.js'
import { parse } from '../../options.js'
import { describeSession } from './describe.js'

const usage = {
  command: 'session show',
  takes: '<name>',
  summary: 'Show a session.',
  examples: ['session show mail'],
}

export const run: Run = async (args, context) => {
  const parsed = parse(usage, args, context)
  if (!parsed) return 0
  const session = await new SessionStore(context.places.config).load(parsed.words[0] ?? '')
  for (const line of describeSession(session, context)) context.say.line(line)
  context.say.facts(session)
  return 0
}
