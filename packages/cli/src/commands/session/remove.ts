import { SessionStore } from '@keytool/tunnel'
import type { Run } from '../../context.js'
import { parse } from '../../options.js'

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
  context.say.facts({ removed: name })
  return 0
}
