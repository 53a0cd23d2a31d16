import { join, resolve } from 'node:path'
import { agentAtLogin, type Keychain } from '@keytool/agent'
import { detectPrivate, isKeytoolError, KeytoolError } from '@keytool/keygen'
import { openHere, readSealed } from '../commands/add/open.js'
import { isAsleep, placeOf } from '../commands/agent/options.js'
import { askingNobody, type Context } from '../context.js'
import { isThere, openKey, publicHalf, withFile } from '../files.js'
import { refuseLocked } from '../held-keys.js'
import { fromHome } from '../home-path.js'
import { explain, openKeychain, withReason } from '../keychain.js'
import { readRules } from '../login-keys.js'
import type { Destination } from '../reach.js'
import { findRemembering } from '../remembered.js'
import { defaultKeyFiles } from '../signers.js'
import { kindOf, lookAtLogin } from './at-login.js'
import { enter } from './enter.js'
import { missingFolders, missingTraces } from './folders.js'
import { type Job, openOurs, type SetupKey } from './job.js'
import { askingOurs } from './muted.js'
import type { SetupFlags } from './options.js'
import { findPlace, type Place } from './place.js'
import { chooseProtection, foreseeProtection } from './protect.js'
import { RecordFile, recordPath } from './record.js'
import { isOpenInAgent } from './steps/held.js'
import { factsOfKnownHosts } from './steps/host.js'
import { checkFree } from './steps/key.js'
import { checkPorts, completeWish, readWish } from './wish.js'

/**
 * All that has to be known is looked at, and asked, before anything is changed: whoever stops at a question has changed nothing.
 * The login is left open for what comes.
 */
export async function prepare(word: string | undefined, wanted: SetupFlags, caller: Context): Promise<Job> {
  const context = askingOurs(caller)
  const flags = await adaptToSystem(wanted, context)
  const otherAgent = otherThanOurs(caller)
  await refuseLockedAgent(context)
  const place = await findPlace(word, flags, caller)
  const { destination, name } = place
  const named = readWish(flags, place)
  await checkPorts(named, name, context)
  const found = await findKey(place, flags, context)
  const keychain = await keychainFor(found, flags, context)
  const opened = found.publicKey ? await openFound(found, keychain, flags, context) : found
  const { hostKey, passwordFile } = flags
  // Before anybody is met, whose key would be noted.
  const record = place.record ?? (await newRecord(place, flags, context))
  const knownBefore = await factsOfKnownHosts(destination, context)
  // A plan asks nobody: what the key alone, or a password that was given, does not show, it leaves open.
  const asking = flags.dryRun ? askingNobody(context) : context
  const isLeftOpen = flags.dryRun && !opened.publicKey
  const entry = isLeftOpen
    ? undefined
    : await enter(destination, { hostKey, passwordFile, key: opened, otherAgent }, asking).catch(error => {
        if (flags.dryRun && isKeytoolError(error)) return undefined
        throw adviseOn(error, place, flags, context)
      })
  try {
    const wish = await completeWish(named, flags, place, entry?.connection, asking)
    const protect = flags.dryRun ? foreseeProtection : chooseProtection
    const key = opened.publicKey ? opened : await protect(opened, flags, keychain !== undefined, context)
    return { context, otherAgent, flags, name, destination, record, key, keychain, knownBefore, entry, ...wish }
  } catch (error) {
    opened.passphrase?.fill(0)
    opened.opened?.wipe()
    await entry?.close()
    throw error
  }
}

/** A server that does not answer: whoever is new mostly has the wrong port. */
function adviseOn(error: unknown, { destination }: Place, flags: SetupFlags, { name, say }: Context): unknown {
  if (!isKeytoolError(error) || error.code !== 'unreachable' || error.hint !== undefined) return error
  const { message, reason } = error
  const { typed, settings, session } = destination
  const isPortOpen = flags.port === undefined && settings.port === undefined && session === undefined
  const port = isPortOpen ? `is it another port than ${destination.port}? -p PORT; ` : ''
  return new KeytoolError('unreachable', message, {
    ...(reason !== undefined && { reason }),
    hint: `${port}what is wrong: ${name} doctor ${isPortOpen ? '' : `-p ${destination.port} `}${say.word(typed)}`,
    cause: error,
  })
}

/** A locked one shows no keys and takes none: nobody is to answer questions in vain. */
async function refuseLockedAgent(context: Context): Promise<void> {
  if (await isAsleep(placeOf({}, context), context)) return
  const agent = await openOurs(context)
  if (agent) await refuseLocked(agent).finally(() => agent.close())
}

/** Where nothing is known that starts programs at login, the rest is done all the same. @throws KeytoolError `usage` */
async function adaptToSystem(flags: SetupFlags, context: Context): Promise<SetupFlags> {
  const kind = kindOf(flags.kind)
  if (flags.onlyNow) return flags
  try {
    await lookAtLogin(agentAtLogin, flags, context)
    return flags
  } catch (error) {
    if (!isKeytoolError(error) || error.code !== 'unsupported' || kind !== undefined) throw error
    context.say.note(`${error.message}: agent and tunnel are started now, and not at login`)
    return { ...flags, onlyNow: true }
  }
}

/** The agent that this shell asks, where that is not ours. */
export function otherThanOurs({ env, places }: Context): string | undefined {
  const named = env['SSH_AUTH_SOCK']
  return named === undefined || named === '' || named === places.agentSocket ? undefined : named
}

/** Not written yet: it is with the first step that changes something. */
async function newRecord({ destination, name }: Place, flags: SetupFlags, context: Context): Promise<RecordFile> {
  const { typed: host, port, user } = destination
  return new RecordFile(recordPath(name, context), {
    version: 1,
    name,
    ...{ host, port, user },
    ...(flags.jump !== undefined && { jump: flags.jump }),
    folders: await missingFolders(context),
    traces: await missingTraces(context),
    steps: {},
  })
}

/** The key that was named, that the session has, or that ssh would take; else the place where one is made. */
async function findKey({ destination }: Place, flags: SetupFlags, context: Context): Promise<SetupKey> {
  const { session, settings } = destination
  const named = flags.identity === undefined ? session?.key : resolve(fromHome(flags.identity, context))
  const path =
    named ??
    (await keyOfSettings(settings)) ??
    (await defaultKeyFiles(context))[0] ??
    join(context.places.ssh, 'id_ed25519')
  if (!(await isThere(path))) {
    await checkFree(path)
    return { path, isEncrypted: true }
  }
  const { encrypted } = await withFile(path, bytes => detectPrivate(bytes).inspect(bytes))
  return { path, publicKey: (await publicHalf(path)).plain, isEncrypted: encrypted }
}

/** What ssh_config names for the host: another key would be refused there by IdentitiesOnly, and not be offered by ssh. */
async function keyOfSettings({ identityFiles = [] }: Destination['settings']): Promise<string | undefined> {
  for (const path of identityFiles) if (await isThere(path)) return path
  return identityFiles[0]
}

/**
 * Where passphrases are kept. One that is locked is said before anything else: it could be unlocked.
 * @returns `undefined` where there is none, or none is wanted
 */
async function keychainFor(key: SetupKey, flags: SetupFlags, context: Context): Promise<Keychain | undefined> {
  if (!flags.keychain || !flags.passphrase || !key.isEncrypted) return undefined
  const keychain = openKeychain(context)
  try {
    await keychain.list()
    return keychain
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    if (error.code === 'refused') {
      throw new KeytoolError('refused', error.message, {
        reason: 'nothing was done',
        hint: 'unlock it, as logging in to the desktop does; or leave it out: --no-keychain',
        cause: error,
      })
    }
    if (error.code !== 'unreachable') throw withReason(error, 'nothing was done; without it: --no-keychain')
    context.say.note(`no keychain: the agent will ask for the passphrase once after each login (${explain(error)})`)
    return undefined
  }
}

/** Opens it where that is needed: to have the keychain keep its passphrase, or because nothing else can sign with it. */
async function openFound(
  key: SetupKey,
  keychain: Keychain | undefined,
  flags: SetupFlags,
  context: Context,
): Promise<SetupKey> {
  const { path, publicKey, isEncrypted } = key
  if (!isEncrypted) return { ...key, opened: (await openKey(path, {}, context)).key }
  const isRemembered = publicKey && findRemembering(await readRules(context), path, publicKey) !== undefined
  const isOpen = await isOpenInAgent(key, context)
  if (isOpen && (isRemembered || !keychain)) return key
  const unlocking = flags.passphraseFile === undefined ? {} : { passphraseFile: flags.passphraseFile }
  if (flags.dryRun && flags.passphraseFile === undefined && !isRemembered) return key
  const sealed = await readSealed(path)
  const { key: opened, passphrase } = await openHere(path, sealed, keychain, { ...unlocking, remember: true }, context)
  if (publicKey && !opened.publicKey.equals(publicKey)) {
    throw new KeytoolError('damaged', `${path} and ${path}.pub are not the same key`, {
      hint: 'find out which one is right before it goes anywhere',
    })
  }
  return { ...key, opened, ...(passphrase && { passphrase }) }
}
