import type { KeyRule } from '@keytool/agent'
import { fingerprint, isKeytoolError, showForeign } from '@keytool/keygen'
import { type Session, SessionStore } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { publicHalf } from '../../files.js'
import { openKeychain } from '../../keychain.js'
import { dropRules } from '../../login-keys.js'
import type { Here, Suspect, Trace } from './trace.js'

/** Its passphrase in the system's keychain. */
export async function findRemembered({ fingerprint: print }: Suspect, { context }: Here): Promise<Trace[]> {
  const keychain = openKeychain(context)
  const trace = { kind: 'keychain', where: "the system's keychain" } as const
  try {
    const entry = (await keychain.list()).find(each => each.fingerprint === print)
    if (!entry) return []
    const remove = async () => void (await keychain.forget(print))
    return [{ ...trace, detail: `its passphrase${entry.comment && `, ${showForeign(entry.comment, 60)}`}`, remove }]
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    // Where there is none, nothing is in it. One that can't be asked may have it.
    if (error.code === 'unreachable') return []
    return [{ ...trace, detail: showForeign(error.message), remove: () => Promise.reject(error) }]
  }
}

/** Rules of agent.json about it: one of them may have the agent hold it again at every login. */
export async function findRules(suspect: Suspect, { settings, context }: Here): Promise<Trace[]> {
  const found: Trace[] = []
  for (const rule of settings.rules) {
    if (!(await isRuleAbout(rule, suspect))) continue
    const what = [rule.atLogin && 'held at every login', rule.remember && 'passphrase in the keychain'].filter(Boolean)
    found.push({
      kind: 'policy',
      where: 'agent.json',
      detail: what.join(', ') || 'a rule about it',
      remove: () => dropRules(each => isRuleAbout(each, suspect), context),
    })
  }
  return found
}

/** Sessions that log in with it. They stay, and have no key of their own any more. */
export async function findSessions(suspect: Suspect, { settings, context }: Here): Promise<Trace[]> {
  const found: Trace[] = []
  for (const session of settings.sessions) {
    const { name, key } = session
    if (key === undefined || !(await isKeyIn(key, suspect))) continue
    const detail = `logs in with it (${context.say.path(key)})`
    found.push({ kind: 'session', where: name, detail, remove: () => forgetKey(session, context) })
  }
  return found
}

async function forgetKey({ name }: Session, { places }: Context): Promise<void> {
  const store = new SessionStore(places.config)
  const { key: _, ...others } = await store.load(name)
  await store.save(others, { replace: true })
}

async function isRuleAbout({ fingerprint: print, file }: KeyRule, suspect: Suspect): Promise<boolean> {
  if (print !== undefined) return print === suspect.fingerprint
  return file !== undefined && isKeyIn(file, suspect)
}

/** Whether the key in a file, or the one beside it, is the suspect. */
export async function isKeyIn(path: string, suspect: Suspect): Promise<boolean> {
  const key = await publicHalf(path).catch(() => publicHalf(`${path}.pub`).catch(() => undefined))
  return key !== undefined && fingerprint(key) === suspect.fingerprint
}
