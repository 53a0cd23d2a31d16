import type { KeyRule } from '@keytool/agent'
import { isKeytoolError } from '@keytool/keygen'
import { type Session, SessionStore } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { readRules } from '../../login-keys.js'

/** A key file that some setting of ours names. */
export interface NamedFile {
  readonly path: string
  /** Which one, for people: `session web1`, `agent.json`. */
  readonly by: string
}

export interface Settings {
  readonly sessions: readonly Session[]
  readonly rules: readonly KeyRule[]
  readonly files: readonly NamedFile[]
}

/** Saved sessions and the rules of agent.json. What can't be read is said, and left out. */
export async function readSettings(context: Context): Promise<Settings> {
  const { say, places } = context
  const { sessions, broken } = await new SessionStore(places.config).list()
  for (const { name, error } of broken) say.note(`session ${name} is left out: ${say.path(error.message)}`)
  const rules = await readRules(context).catch(error => {
    if (!isKeytoolError(error)) throw error
    say.note(`agent.json is left out: ${say.path(error.message)}`)
    return []
  })
  return {
    sessions,
    rules,
    files: [
      ...sessions.flatMap(({ name, key }) => (key === undefined ? [] : [{ path: key, by: `session ${name}` }])),
      ...rules.flatMap(({ file }) => (file === undefined ? [] : [{ path: file, by: 'agent.json' }])),
    ],
  }
}
