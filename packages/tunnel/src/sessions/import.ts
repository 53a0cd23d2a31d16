import { isKeytoolError, type KeytoolError, showForeign } from '@keytool/keygen'
import { numberName, type TakenNames } from './names.js'
import { isSameSession } from './same.js'
import type { Session } from './schema.js'
import type { SessionStore } from './store.js'

/** A foreign session as one of ours, and what has been lost on the way. */
export interface Carried {
  readonly session: Session
  /** What was not carried, one line each; safe to show. */
  readonly leftOut: readonly string[]
  /** How many settings of looks, keyboard and window stayed behind. */
  readonly looks: number
  /** What was carried but should be looked at; safe to show. */
  readonly lookAt: readonly string[]
}

/** A foreign session that there is nothing to make of: it is no session of SSH, or of no host. */
export interface Passed {
  readonly passedOver: string
}

/** A foreign session, or why it is refused. */
export interface ImportCandidate {
  /** Its name where it comes from. Foreign text. */
  readonly from: string
  readonly found: Carried | Passed | KeytoolError
}

export type ImportState =
  /** Saved, or it would be. */
  | 'new'
  /** There already, with the same content. */
  | 'same'
  /** Saved in place of another one. */
  | 'replaced'
  /** There is another one of this name, which stays. */
  | 'kept'
  /** Not a session for SSH. */
  | 'passed'
  /** Hostile or broken. */
  | 'refused'

export interface ImportedSession {
  /** Safe to show. */
  readonly from: string
  /** Absent where there is no session. */
  readonly name?: string
  readonly state: ImportState
  readonly reason?: string
  readonly leftOut: readonly string[]
  readonly looks: number
  readonly lookAt: readonly string[]
}

export interface ImportOptions {
  /** Replace sessions of the same name. */
  readonly replace?: boolean
  /** Write nothing. */
  readonly dryRun?: boolean
}

/**
 * Saves foreign sessions, each for itself: a refused one keeps none of the others out. In the order of their names, so that
 * those whose names come to be one get the same numbers each time, and a second import finds all of them there.
 * @throws KeytoolError `failed` when one can't be written; those before it are saved
 */
export async function importSessions(
  incoming: readonly ImportCandidate[],
  store: SessionStore,
  options: ImportOptions = {},
): Promise<ImportedSession[]> {
  const taken: TakenNames = new Map()
  const results: ImportedSession[] = []
  for (const { from, found } of [...incoming].sort(byName)) {
    const shown = showForeign(from, 80)
    const none = { leftOut: [], looks: 0, lookAt: [] }
    if (isKeytoolError(found)) {
      results.push({ from: shown, state: 'refused', reason: sayWhy(found), ...none })
    } else if ('passedOver' in found) {
      results.push({ from: shown, state: 'passed', reason: found.passedOver, ...none })
    } else {
      const { session, ...beside } = found
      const named = { ...session, name: numberName(session.name, taken) }
      results.push({ from: shown, name: named.name, ...(await importOne(named, store, options)), ...beside })
    }
  }
  return results
}

async function importOne(
  session: Session,
  store: SessionStore,
  { replace = false, dryRun = false }: ImportOptions,
): Promise<{ state: ImportState; reason?: string }> {
  const old = await loadIfThere(session.name, store)
  if (old && !isKeytoolError(old) && isSameSession(old, session)) return { state: 'same' }
  if (old && !replace) {
    const reason = isKeytoolError(old)
      ? `what is there can't be read: ${sayWhy(old)}`
      : 'there is another one of this name'
    return { state: 'kept', reason }
  }
  if (isKeytoolError(old) && old.code === 'unsupported') return { state: 'kept', reason: sayWhy(old) }
  if (!dryRun) await store.save(session, { replace })
  return { state: old ? 'replaced' : 'new' }
}

/** The session, the trouble with it, or nothing. */
async function loadIfThere(name: string, store: SessionStore): Promise<Session | KeytoolError | undefined> {
  try {
    return await store.load(name)
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    return error.code === 'not-found' ? undefined : error
  }
}

function sayWhy({ message, reason }: KeytoolError): string {
  return showForeign(reason ?? message)
}

function byName(one: ImportCandidate, other: ImportCandidate): number {
  return one.from < other.from ? -1 : one.from > other.from ? 1 : 0
}
