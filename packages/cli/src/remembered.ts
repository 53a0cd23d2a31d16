import { resolve } from 'node:path'
import {
  type AgentClient,
  checkPlace,
  connectAgent,
  type Keychain,
  type KeyRule,
  SealedKey,
  type SealedOffer,
} from '@keytool/agent'
import { fingerprint, isKeytoolError, type KeytoolError, type PrivateKey, type PublicKey } from '@keytool/keygen'
import type { Context } from './context.js'
import { withFile } from './files.js'
import { explain, isNone, keychainToFill, openKeychain, warnOfNone, withReason } from './keychain.js'
import { type AtLogin, checkAtLogin, isAbout, noteAtLogin, noteForgotten, readRules } from './login-keys.js'

/** How long our agent may take to answer, in milliseconds. */
const ANSWER_MS = 2000

/** What the keychain's passphrase for a key file is worth. */
export type Found =
  | { readonly state: 'opened'; readonly key: PrivateKey; readonly passphrase: Buffer }
  /** `stale`: the file's passphrase was changed since. */
  | { readonly state: 'stale' | 'missing' }
  | { readonly state: 'unavailable'; readonly error: KeytoolError }

/** Tries the stored passphrase on the file, once. What it opens is the caller's to wipe. */
export async function openStored(sealed: SealedKey, keychain: Keychain): Promise<Found> {
  let passphrase: Buffer | undefined
  try {
    passphrase = await keychain.find(fingerprint(sealed.publicKey))
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    return { state: 'unavailable', error }
  }
  if (!passphrase) return { state: 'missing' }
  try {
    return { state: 'opened', key: await sealed.open(passphrase), passphrase }
  } catch (error) {
    passphrase.fill(0)
    if (isKeytoolError(error) && error.code === 'secret-wrong') return { state: 'stale' }
    throw error
  }
}

/** The rule that has a key's passphrase in the keychain. */
export function findRemembering(rules: readonly KeyRule[], path: string, key: PublicKey): KeyRule | undefined {
  const named = { fingerprint: fingerprint(key), file: resolve(path) }
  return rules.find(rule => rule.remember && isAbout(rule, named))
}

/** A key whose passphrase is to be kept. */
export interface ToRemember {
  readonly path: string
  readonly key: PublicKey
  readonly passphrase: Uint8Array
}

/**
 * Stores a passphrase that has opened its file, and has the agent hold the key whenever it starts. A keychain that went away
 * meanwhile is warned of.
 * @param done what stands if it is refused
 * @returns whether it is remembered now
 */
export async function remember(
  { path, key, passphrase }: ToRemember,
  wish: AtLogin,
  keychain: Keychain,
  done: string,
  context: Context,
): Promise<boolean> {
  const before = (await readRules(context)).find(({ file }) => file === resolve(path))
  if (!(await store({ path, key, passphrase }, keychain, done, context))) return false
  await noteAtLogin(path, key, { ...wish, remember: true }, context)
  // Another key lay in this file before.
  if (before?.remember && before.fingerprint !== undefined && before.fingerprint !== fingerprint(key)) {
    await keychain.forget(before.fingerprint)
  }
  return true
}

/** Puts a passphrase in the place of the one that is stored for the key. */
export async function store(
  { path, key, passphrase }: ToRemember,
  keychain: Keychain,
  done: string,
  context: Context,
): Promise<boolean> {
  try {
    await keychain.store({ fingerprint: fingerprint(key), comment: key.comment, file: resolve(path) }, passphrase)
    return true
  } catch (error) {
    if (!isNone(error)) throw withReason(error, done)
    warnOfNone(error, context)
    return false
  }
}

/**
 * After a file's passphrase was changed: the keychain's follows, where it has one. The change stands, whatever becomes of
 * that; what could not be done is said.
 * @param passphrase the new one; `undefined` where the file has none any more
 */
export async function follow(
  path: string,
  key: PublicKey,
  passphrase: Uint8Array | undefined,
  context: Context,
): Promise<void> {
  const { say, name } = context
  try {
    const rule = findRemembering(await readRules(context), path, key)
    if (!rule) return
    const keychain = openKeychain(context)
    if (passphrase) {
      await keychain.store({ fingerprint: fingerprint(key), comment: key.comment, file: resolve(path) }, passphrase)
      say.done('the keychain has the new passphrase')
      // Else the agent would try it on the file as it was.
      await holdNow({ path, key, passphrase }, context)
    } else {
      await keychain.forget(fingerprint(key))
      await noteForgotten({ fingerprint: fingerprint(key), file: resolve(path) }, context)
      say.done('the keychain has forgotten its passphrase')
    }
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    const word = say.word(path)
    const remedy = passphrase ? `${name} add --remember ${word}` : `${name} keychain forget ${word}`
    say.note(`the keychain still has the old passphrase: ${explain(error)}\n  when it can be reached: ${remedy}`)
  }
}

/** Where a key that is about to be made will be remembered. */
export interface Memory {
  /** Throws `usage` for a path that can't stand in agent.json. */
  check(path: string): Promise<void>
  /** As {@link remember}, once its files stand. Our own agent, if it runs, holds the key from then on. */
  keep(made: ToRemember): Promise<boolean>
  /** Adds a key to an agent, open; one of ours can seal it again. Wipes it. */
  add(path: string, key: PrivateKey, agent: AgentClient): Promise<void>
}

/**
 * What is asked before anybody is.
 * @returns `undefined` where there is no keychain, which has been said
 * @throws KeytoolError `refused` while it is locked; `damaged` or `unsupported` for an agent.json that is not understood
 */
export async function openMemory(context: Context): Promise<Memory | undefined> {
  await readRules(context)
  const keychain = await keychainToFill(context)
  if (!keychain) return undefined
  return {
    check: path => checkAtLogin(path, undefined, { terms: {}, remember: true }, context),
    async keep(made) {
      const done = 'the key was made, its passphrase is not remembered'
      const isKept = await remember(made, { terms: {} }, keychain, done, context)
      if (isKept) await holdNow(made, context)
      return isKept
    },
    async add(path, key, agent) {
      if (!(await agent.supports('add-sealed@keytool'))) return agent.add(key)
      await agent.addSealed({ ...(await readOffer(path, key.publicKey)), open: async () => key })
      key.wipe()
    },
  }
}

/** The agent would read its rules in some seconds: whoever goes on at once finds the key there already. */
async function holdNow({ path, key }: ToRemember, { places }: Context): Promise<void> {
  try {
    if (!(await checkPlace(places.agentSocket))) return
    const agent = await connectAgent(places.agentSocket, { timeout: ANSWER_MS })
    try {
      if (await agent.supports('add-sealed@keytool')) await agent.addSealed(await readOffer(path, key))
    } finally {
      agent.close()
    }
  } catch (error) {
    // None runs, or it is locked: it follows its rules when it can.
    if (!isKeytoolError(error)) throw error
  }
}

async function readOffer(path: string, identity: PublicKey): Promise<SealedOffer> {
  const sealed = await withFile(path, bytes => SealedKey.read(bytes))
  return { identity, terms: {}, sealed, file: resolve(path) }
}
