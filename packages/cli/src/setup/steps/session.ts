import { unlink } from 'node:fs/promises'
import { resolve } from 'node:path'
import {
  type ForwardKind,
  type ForwardSpec,
  formatForward,
  isSameSession,
  type Session,
  SessionStore,
} from '@keytool/tunnel'
import type { Job, Step, Undoing } from '../job.js'
import { factsAfter, factsBefore, hashOf, putBack } from '../original.js'

/** The saved session. One of this name that leads there already gets what it lacks, and keeps all else. */
export const sessionStep: Step = {
  name: 'session',
  title: 'session',
  async look(job) {
    const { destination, name } = job
    const isThere = destination.session !== undefined && isSameSession(destination.session, sessionFor(job))
    if (isThere) return { state: 'done', text: `${name} is saved` }
    return { state: 'to-do', text: destination.session ? `${name} would get what it lacks` : `${name} would be saved` }
  },
  async apply(job) {
    const { context, destination, name, record } = job
    const store = new SessionStore(context.places.config)
    const before = record.madeBy('session')?.facts ?? (await factsBefore(store.pathOf(name)))
    const session = sessionFor(job)
    // As the store will write it: an end before the next note leaves no doubt whose it is.
    const now = hashOf(Buffer.from(`${JSON.stringify(session, null, 2)}\n`))
    await record.note('session', { state: 'begun', facts: { ...before, now } })
    await store.save(session, { replace: destination.session !== undefined })
    await record.note('session', { state: 'done', facts: await factsAfter(before) })
    return destination.session ? `${name} has now what it lacked` : `${name} is saved`
  },
  finish: async (_job, { facts }) => factsAfter(facts),
  undo,
  foretell: ({ record }) => `${record.value.name} would be removed, or be as it was`,
}

/** The session as it is to be. */
export function sessionFor({ name, destination, key, forwards, flags }: Job): Session {
  const { session, typed, port, user } = destination
  const lists: Record<ForwardKind, readonly string[]> = {
    local: listOf('local', forwards, session),
    remote: listOf('remote', forwards, session),
    dynamic: listOf('dynamic', forwards, session),
  }
  if (session) {
    return {
      ...session,
      ...(flags.charset !== undefined && { charset: flags.charset }),
      key: session.key ?? resolve(key.path),
      forwards: lists,
    }
  }
  return {
    version: 1,
    name,
    ...{ host: typed, port, user },
    ...(flags.charset !== undefined && { charset: flags.charset }),
    key: resolve(key.path),
    forwards: lists,
    ...(flags.jump !== undefined && { jump: flags.jump }),
  }
}

/** As they were written, and the others behind them. */
function listOf(kind: ForwardKind, forwards: readonly ForwardSpec[], session: Session | undefined): string[] {
  const saved = session?.forwards[kind] ?? []
  const wanted = forwards.filter(spec => spec.kind === kind).map(formatForward)
  return [...saved, ...wanted.filter(text => !saved.includes(text))]
}

async function undo({ context, record }: Undoing): Promise<string> {
  const made = record.madeBy('session')
  const { name } = record.value
  if (!made) return 'was not saved by setup'
  const path = new SessionStore(context.places.config).pathOf(name)
  const isNew = made.facts['was'] === undefined
  if ((await putBack(path, made)) === 'back') return isNew ? `${name} is removed` : `${name} is as it was`
  // Somebody has edited it since: what setup did not make is theirs.
  if (!isNew) return `${name} stays: it was edited since`
  const { sessions } = await new SessionStore(context.places.config).list()
  const leadsElsewhere = sessions.some(each => each.name === name && each.host !== record.value.host)
  if (leadsElsewhere) return `${name} stays: it leads elsewhere now`
  await unlink(path)
  return `${name} is removed, though it was edited since`
}
