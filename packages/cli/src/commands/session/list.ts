import { KeytoolError } from '@keytool/keygen'
import { type SessionList, SessionStore } from '@keytool/tunnel'
import type { Context, Run } from '../../context.js'
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
  sayBroken(broken, context)
  if (sessions.length + broken.length === 0) say.note('no session is saved yet')
  say.facts(sessions)
  return broken.length > 0 ? 6 : 0
}

/** How many are named in one error. */
const MAX_SHOWN = 10

/** Each in its own words; for programs stderr is one JSON value, whatever is broken. */
function sayBroken(broken: SessionList['broken'], { say }: Context): void {
  const [first, ...others] = broken
  if (first && others.length > 0 && say.json) {
    const more = broken.length > MAX_SHOWN ? `; and ${broken.length - MAX_SHOWN} more` : ''
    const messages = broken.slice(0, MAX_SHOWN).map(({ error }) => error.message)
    const error = new KeytoolError('damaged', `${broken.length} sessions can't be read`, {
      reason: `${messages.join('; ')}${more}`,
    })
    say.error(error)
    return
  }
  for (const { error } of broken) say.error(error)
}
