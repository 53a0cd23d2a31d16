import { isSameSession, type Session, type SessionStore } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { isThere } from '../../files.js'
import { describeSession } from './describe.js'

/** Saves what was changed, and says so. */
export async function keepSession(
  old: Session | undefined,
  next: Session,
  store: SessionStore,
  context: Context,
): Promise<number> {
  const isSame = old !== undefined && isSameSession(old, next)
  if (!isSame) await store.save(next, { replace: true })
  context.say.done(`session ${next.name} ${isSame ? 'is as it was' : 'changed'}`)
  await saySession(next, context)
  return 0
}

/** What a session that was saved holds, what is missing, and what to do with it. */
export async function saySession(session: Session, context: Context): Promise<void> {
  const { say } = context
  for (const line of describeSession(session, context)) say.line(`  ${line}`)
  if (session.key !== undefined && !(await isThere(session.key))) say.note(`${say.path(session.key)} is not there yet`)
  if (Object.values(session.forwards).some(list => list.length > 0)) {
    say.line(`Next: ${context.name} tunnel ${session.name}`)
  }
  say.facts(session)
}
