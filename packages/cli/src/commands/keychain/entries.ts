import type { Keychain, KeychainEntry, KeyRule } from '@keytool/agent'
import { fingerprint, showForeign } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { publicHalf } from '../../files.js'
import { isAbout, readRules } from '../../login-keys.js'

/** A passphrase that is kept, or should be. */
export interface Kept extends KeychainEntry {
  /** Whether agent.json says so: then the agent asks the keychain for it. */
  readonly remembered: boolean
  /** Whether the keychain's index has it. */
  readonly isListed: boolean
}

/** What the keychain lists, and then what agent.json alone believes to be there. */
export async function readKept(keychain: Keychain, context: Context): Promise<readonly Kept[]> {
  const listed = await keychain.list()
  const rules = (await readRules(context)).filter(rule => rule.remember)
  const kept = listed.map(entry => ({
    ...entry,
    remembered: rules.some(rule => isAbout(rule, entry)),
    isListed: true,
  }))
  const others = rules.filter(rule => !listed.some(entry => isAbout(rule, entry)))
  return [...kept, ...(await Promise.all(others.map(toKept))).flatMap(each => each ?? [])]
}

/** A rule of which nothing shows what key it is about means no passphrase that could be found. */
async function toKept(rule: KeyRule): Promise<Kept | undefined> {
  const { file } = rule
  const key = file === undefined ? undefined : await publicHalf(file).catch(() => undefined)
  const print = rule.fingerprint ?? (key && fingerprint(key))
  if (print === undefined) return undefined
  const comment = key && fingerprint(key) === print ? key.comment : ''
  return { fingerprint: print, comment, ...(file !== undefined && { file }), remembered: true, isListed: false }
}

/** The cells that name a key, for people. */
export function nameCells({ fingerprint: print, comment, file }: KeychainEntry, { say }: Context): string[] {
  return [showForeign(print), showForeign(comment) || 'no comment', file === undefined ? '' : say.path(file)]
}
