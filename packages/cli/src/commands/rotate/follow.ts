import { isKeytoolError, showForeign } from '@keytool/keygen'
import { type HeldJournal, type HostRecord, type Session, SessionStore } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { resolveDestination } from '../../reach.js'
import { count } from '../../text.js'
import { followRule, restoreRule } from './follow-rule.js'
import { idOf, isKeyOf } from './members.js'
import type { Pair } from './pair.js'

/** What is saved here goes with the keys: sessions of hosts that are done, and, when all are, the agent's rule. */
export async function follow(journal: HeldJournal, pair: Pair, context: Context): Promise<void> {
  const { say } = context
  await followSessions(journal, pair, context)
  const { hosts } = journal.current
  const left = hosts.filter(({ state }) => state !== 'done')
  if (left.length > 0) {
    const isAny = left.length < hosts.length
    if (isAny)
      say.note(`${count(left.length, 'host')} of this rotation not done yet: the agent's rules stay as they are`)
    return
  }
  await followRule(journal, pair, context)
  await journal.change(current => ({ ...current, finished: new Date().toISOString() }))
}

/** The same back. A host that is as it was is forgotten; when all are, so is the rotation. */
export async function goBack(journal: HeldJournal, pair: Pair, context: Context): Promise<void> {
  const { hosts, followed } = journal.current
  const isBack = (host: HostRecord) => host.state === 'rolled-back'
  if (hosts.some(isBack)) await restoreRule(journal, pair, context)
  const store = new SessionStore(context.places.config)
  const moved: string[] = []
  for (const { name, key } of followed.sessions) {
    const session = await loadIfThere(store, name, context)
    if (session && !(await isOf(session, hosts.filter(isBack), context))) continue
    if (session?.key === pair.new.file) {
      await store.save({ ...session, key } as Session, { replace: true })
      moved.push(name)
    }
    await journal.change(current => ({
      ...current,
      followed: { ...current.followed, sessions: current.followed.sessions.filter(each => each.name !== name) },
    }))
  }
  if (moved.length > 0) {
    context.say.note(`${count(moved.length, 'session')} with the old key again: ${moved.join(', ')}`)
  }
  if (hosts.every(isBack)) return journal.remove()
  await journal.change(current => ({ ...current, hosts: current.hosts.filter(host => !isBack(host)) }))
}

async function followSessions(journal: HeldJournal, { old, new: fresh }: Pair, context: Context): Promise<void> {
  const { say, places } = context
  const store = new SessionStore(places.config)
  const done = journal.current.hosts.filter(({ state }) => state === 'done')
  const moved: string[] = []
  const left: string[] = []
  for (const session of (await store.list()).sessions) {
    const { name, key } = session
    if (key === undefined || key === fresh.file || !(await isKeyOf(key, old.file, old.key))) continue
    if (fresh.file === undefined || !(await isOf(session, done, context))) {
      left.push(name)
      continue
    }
    // Written down first: whatever ends us, the way back is known.
    await journal.change(current => withSession(current, name, key))
    await store.save({ ...session, key: fresh.file }, { replace: true })
    moved.push(name)
  }
  if (moved.length > 0) say.note(`${count(moved.length, 'session')} with the new key now: ${moved.join(', ')}`)
  if (left.length > 0 && done.length > 0) {
    say.note(`${count(left.length, 'session')} still with the old key, of hosts that are not done: ${left.join(', ')}`)
  }
}

function withSession(journal: HeldJournal['current'], name: string, key: string): HeldJournal['current'] {
  const { sessions } = journal.followed
  // What it was at first is what it goes back to.
  if (sessions.some(each => each.name === name)) return journal
  return { ...journal, followed: { ...journal.followed, sessions: [...sessions, { name, key }] } }
}

/** Whether the session logs in on one of these hosts. */
async function isOf({ name }: Session, hosts: readonly HostRecord[], context: Context): Promise<boolean> {
  try {
    const id = idOf(await resolveDestination(name, {}, context))
    return hosts.some(host => host.id === id || host.word === name)
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    return false
  }
}

async function loadIfThere(store: SessionStore, name: string, { say }: Context): Promise<Session | undefined> {
  try {
    return await store.load(name)
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    if (error.code !== 'not-found') say.note(`session ${showForeign(name)} stays as it is: ${error.message}`)
    return undefined
  }
}
