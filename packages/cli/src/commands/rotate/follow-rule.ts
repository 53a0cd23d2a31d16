import { type KeyRule, parsePolicy } from '@keytool/agent'
import { fingerprint, isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { HeldJournal } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { explain, isNone, openKeychain } from '../../keychain.js'
import { changePolicy, isAbout, policyFile } from '../../login-keys.js'
import type { Pair, RotatedHalf } from './pair.js'

type Written = Readonly<Record<string, unknown>>

/**
 * The rule of agent.json about the old key becomes one about the new key, all it says with it. What can't follow is said:
 * a passphrase that the keychain has is the old key's.
 */
export async function followRule(journal: HeldJournal, { old, new: fresh }: Pair, context: Context): Promise<void> {
  const { say, name } = context
  try {
    const rules = await readWritten(context)
    const rule = rules.find(each => isAbout(each.rule, namesOf(old)))
    if (!rule || fresh.file === undefined) return
    if (rules.some(each => isAbout(each.rule, namesOf(fresh)))) {
      say.note(`agent.json has rules about both keys: they stay as they are`)
      return
    }
    const isKept = rule.rule.remember === true && (await isRemembered(fresh, context))
    const { remember: _, ...others } = rule.written
    const made = {
      ...others,
      ...(rule.rule.file !== undefined && { file: fresh.file }),
      ...(rule.rule.fingerprint !== undefined && { fingerprint: fingerprint(fresh.key) }),
      ...(isKept && { remember: true }),
    }
    await journal.change(current => ({
      ...current,
      followed: { ...current.followed, rule: JSON.stringify(rule.written) },
    }))
    await replaceRule(old, made, context)
    say.note(`agent.json: the rule about the old key is about the new one now`)
    if (rule.rule.remember && !isKept) {
      const word = say.word(fresh.file)
      say.note(`the keychain does not have the new key's passphrase: ${name} add --remember ${word}`)
    }
  } catch (error) {
    sayUnfollowed(error, context)
  }
}

/** The rule as it was. */
export async function restoreRule(journal: HeldJournal, { new: fresh }: Pair, context: Context): Promise<void> {
  const { rule } = journal.current.followed
  if (rule === undefined) return
  try {
    await replaceRule(fresh, JSON.parse(rule), context)
    await journal.change(({ followed, ...others }) => ({ ...others, followed: { sessions: followed.sessions } }))
    context.say.note(`agent.json: the rule about the new key is about the old one again`)
  } catch (error) {
    sayUnfollowed(error, context)
  }
}

async function readWritten({ places }: Context): Promise<{ rule: KeyRule; written: Written }[]> {
  const found: { rule: KeyRule; written: Written }[] = []
  await changePolicy(places, bytes => {
    found.length = 0
    if (bytes) found.push(...rulesIn(bytes, places))
    return undefined
  })
  return found
}

async function replaceRule(half: RotatedHalf, made: Written, { places }: Context): Promise<void> {
  await changePolicy(places, bytes => {
    if (!bytes) return undefined
    const rules = rulesIn(bytes, places)
    if (!rules.some(({ rule }) => isAbout(rule, namesOf(half)))) return undefined
    const keys = rules.map(({ rule, written }) => (isAbout(rule, namesOf(half)) ? made : written))
    const after = Buffer.from(`${JSON.stringify({ ...JSON.parse(bytes.toString('utf8')), keys }, null, 2)}\n`)
    parsePolicy(after, policyFile(places), places.home)
    return after
  })
}

function rulesIn(bytes: Buffer, places: Context['places']): { rule: KeyRule; written: Written }[] {
  const rules = parsePolicy(bytes, policyFile(places), places.home).keys
  const { keys = [] } = JSON.parse(bytes.toString('utf8')) as { readonly keys?: readonly Written[] }
  return rules.flatMap((rule, index) => {
    const written = keys[index]
    return written ? [{ rule, written }] : []
  })
}

function namesOf({ key, file }: RotatedHalf): { readonly fingerprint: string; readonly file?: string } {
  return { fingerprint: fingerprint(key), ...(file !== undefined && { file }) }
}

async function isRemembered({ key }: RotatedHalf, context: Context): Promise<boolean> {
  try {
    const shown = fingerprint(key)
    return (await openKeychain(context).list()).some(entry => entry.fingerprint === shown)
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    if (!isNone(error)) context.say.note(`the keychain can't be asked: ${explain(error)}`)
    return false
  }
}

/** The keys are where they should be on the servers: what is here can be mended by hand. */
function sayUnfollowed(error: unknown, { say }: Context): void {
  if (!isKeytoolError(error)) throw error
  const { message, reason } = error
  say.error(
    new KeytoolError('failed', `agent.json stays as it is: ${message}`, {
      ...(reason !== undefined && { reason }),
      hint: 'its rule about the old key has to be changed by hand',
      cause: error,
    }),
  )
}
