import { randomInt } from 'node:crypto'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type KeyRule, parsePolicy, type Terms, withKeyRule } from '@keytool/agent'
import { type Original, readIfThere, readToRewrite, writeWhole } from '@keytool/agent/platform'
import { fingerprint, isKeytoolError, KeytoolError, type PublicKey } from '@keytool/keygen'
import type { Context } from './context.js'

/** How often the file is changed anew after somebody else was quicker, and how long that takes them at the most, in ms. */
const TRIES = 40
const PAUSE_MS = 40

/** What a rule for the login says of a key, besides what key it is. */
export interface AtLogin {
  readonly terms: Terms
  /** Whether the keychain has the passphrase. */
  readonly remember?: true
}

/** A rule in agent.json that has the agent hold a key, still encrypted, whenever it starts. The agent follows the file. */
export async function noteAtLogin(path: string, key: PublicKey, wish: AtLogin, { places }: Context): Promise<void> {
  const file = policyFile(places)
  const rule = ruleFor(path, key, wish)
  await change(file, old => withKeyRule(old, rule, file, places.home))
}

/**
 * Whether the rule could be written, before anything else is done.
 * @param key not known yet where it is still to be made
 * @throws KeytoolError `usage`; `damaged` or `unsupported` for a file that is not understood
 */
export async function checkAtLogin(
  path: string,
  key: PublicKey | undefined,
  wish: AtLogin,
  { places }: Context,
): Promise<void> {
  const file = policyFile(places)
  withKeyRule(await readIfThere(file), ruleFor(path, key, wish), file, places.home)
}

/**
 * The rules as they stand.
 * @throws KeytoolError `damaged` or `unsupported` for a file that is not understood
 */
export async function readRules({ places }: Context): Promise<readonly KeyRule[]> {
  const file = policyFile(places)
  const bytes = await readIfThere(file)
  return bytes ? parsePolicy(bytes, file, places.home).keys : []
}

/** Whether a rule is about this key: a file alone says it only where the rule tells no fingerprint. */
export function isAbout(rule: KeyRule, key: { readonly fingerprint: string; readonly file?: string }): boolean {
  if (rule.fingerprint !== undefined) return rule.fingerprint === key.fingerprint
  return rule.file !== undefined && rule.file === key.file
}

/** Takes `remember` out of the rule about a key; all else in it stays. */
export async function noteForgotten(
  key: { readonly fingerprint: string; readonly file?: string },
  { places }: Context,
): Promise<void> {
  const file = policyFile(places)
  await change(file, old => {
    if (!old) return undefined
    const rules = parsePolicy(old, file, places.home).keys
    if (!rules.some(rule => rule.remember !== undefined && isAbout(rule, key))) return undefined
    const json = JSON.parse(old.toString('utf8')) as { readonly keys: readonly object[] }
    const keys = json.keys.map((written, i) => {
      const rule = rules[i]
      if (!rule || !isAbout(rule, key)) return written
      const { remember: _, ...others } = written as { remember?: boolean }
      return others
    })
    return Buffer.from(`${JSON.stringify({ ...json, keys }, null, 2)}\n`)
  })
}

/** Takes every rule that is meant out of the file. */
export async function dropRules(isMeant: (rule: KeyRule) => Promise<boolean>, context: Context): Promise<void> {
  const { places } = context
  const file = policyFile(places)
  const meant = new Set<string>()
  for (const rule of await readRules(context)) if (await isMeant(rule)) meant.add(JSON.stringify(rule))
  await change(file, old => {
    if (!old) return undefined
    const rules = parsePolicy(old, file, places.home).keys
    const json = JSON.parse(old.toString('utf8')) as { readonly keys?: readonly object[] }
    const keys = (json.keys ?? []).filter((_, i) => !meant.has(JSON.stringify(rules[i])))
    return keys.length === rules.length ? undefined : Buffer.from(`${JSON.stringify({ ...json, keys }, null, 2)}\n`)
  })
}

export function policyFile(places: Context['places']): string {
  return join(places.config, 'agent.json')
}

/** Changes agent.json as {@link change} does. */
export function changePolicy(
  places: Context['places'],
  make: (old: Buffer | undefined) => Buffer | undefined,
): Promise<void> {
  return change(policyFile(places), make)
}

function ruleFor(path: string, key: PublicKey | undefined, { terms, remember }: AtLogin): KeyRule {
  const { lifetime, idle, confirm } = terms
  return {
    file: resolve(path),
    ...(key && { fingerprint: fingerprint(key) }),
    atLogin: true,
    ...(remember && { remember }),
    ...(lifetime !== undefined && { lifetime }),
    ...(idle !== undefined && { idle }),
    ...(confirm && { confirm }),
  }
}

/**
 * Changes the file in the place of the one that was read, and no other: of two who change it at once, one begins anew.
 * @param make the new file, the same for one that has the change already; `undefined`: nothing is to be changed
 */
async function change(path: string, make: (old: Buffer | undefined) => Buffer | undefined): Promise<void> {
  for (let left = TRIES; ; left--) {
    const old = await readOriginal(path)
    const made = make(old?.bytes)
    // Looked at once more after each writing: between the last look of another and its rename there is a moment.
    if (!made || old?.bytes.equals(made)) return
    try {
      await writeWhole(path, made, old ? { replace: true, expects: old.identity } : {})
    } catch (error) {
      if (left === 0 || !isKeytoolError(error) || !['exists', 'failed'].includes(error.code)) throw error
      await sleep(randomInt(PAUSE_MS))
    }
    if (left === 0) throw new KeytoolError('failed', `${path} can't be changed`, { reason: 'others keep changing it' })
  }
}

async function readOriginal(path: string): Promise<Original | undefined> {
  try {
    return await readToRewrite(path)
  } catch (error) {
    if (isKeytoolError(error) && error.code === 'not-found') return undefined
    throw error
  }
}
