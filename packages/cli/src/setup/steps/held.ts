import { stat, unlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type AgentClient, type Identity, publicKeyOf, SealedKey } from '@keytool/agent'
import { readIfThere, writeWhole } from '@keytool/agent/platform'
import { fingerprint, KeytoolError, type PublicKey } from '@keytool/keygen'
import { withCommentBeside, withFile } from '../../files.js'
import { readReports } from '../../held-keys.js'
import { openKeychain } from '../../keychain.js'
import { isAbout, noteAtLogin, readRules } from '../../login-keys.js'
import { type Job, openOurs, type SetupKey, type Step, type Undoing } from '../job.js'
import { factsAfter, factsBefore, putBack } from '../original.js'
import { type Made, textIn } from '../record.js'

/** The key in the agent: now, and sealed at every login, its passphrase in the keychain where there is one. */
export const heldStep: Step = {
  name: 'held',
  title: 'key held',
  sharedBy: 'key',
  async look(job) {
    const { key, keychain } = job
    if (key.publicKey && !key.isEncrypted) return { state: 'done', text: 'not needed: the file has no passphrase' }
    if (key.origin === 'none') return { state: 'done', text: 'not needed: the file would have no passphrase' }
    const opens = keychain ? 'opened by the keychain' : 'which asks for the passphrase when it is first used'
    if (await isHeld(job)) return { state: 'done', text: `by the agent at every login, ${opens}` }
    return { state: 'to-do', text: `by the agent at every login, ${opens}` }
  },
  apply: hold,
  finish: async (_job, { facts }) => factsAfter(facts),
  undo: letGo,
  foretell: () => 'the agent would forget the key, and the keychain its passphrase if setup put it there',
}

async function isHeld({ key, keychain, context }: Job): Promise<boolean> {
  const { path, publicKey } = key
  if (!publicKey) return false
  const about = { fingerprint: fingerprint(publicKey), file: resolve(path) }
  const rule = (await readRules(context)).find(each => each.atLogin && isAbout(each, about))
  if (!rule || (keychain && !rule.remember)) return false
  const agent = await openOurs(context)
  if (!agent) return false
  try {
    return (await findIn(agent, publicKey)) !== undefined
  } finally {
    agent.close()
  }
}

/** Whether the agent holds the key by itself, and can sign without asking anybody. */
export async function isOpenInAgent({ publicKey }: SetupKey, context: Job['context']): Promise<boolean> {
  const agent = publicKey && (await openOurs(context))
  if (!agent) return false
  try {
    const identity = await findIn(agent, publicKey)
    return identity !== undefined && (await readReports(agent))(identity)?.state === 'open'
  } finally {
    agent.close()
  }
}

async function findIn(agent: AgentClient, key: PublicKey): Promise<Identity | undefined> {
  return (await agent.list()).find(identity => publicKeyOf(identity)?.equals(key))
}

async function hold({ key, keychain, record, context }: Job): Promise<string> {
  const { path, publicKey, opened, passphrase } = key
  if (!publicKey) throw new KeytoolError('failed', `${path} is not there`)
  const print = fingerprint(publicKey)
  const before = record.madeBy('held')
  // After an end in the middle the file as it was is known already.
  const was = before ? before.facts : { ...(await factsBefore(policyFile(context))), fingerprint: print }
  const isStored =
    keychain !== undefined && passphrase !== undefined && !(await isStoredBy(record.madeBy('key'), print))
  const facts = { ...was, stored: before?.facts['stored'] === true || isStored }
  await record.note('held', { state: 'begun', facts })
  if (isStored)
    await keychain.store({ fingerprint: print, comment: publicKey.comment, file: resolve(path) }, passphrase)
  await noteAtLogin(path, publicKey, { terms: {}, ...(keychain && { remember: true }) }, context)
  const agent = await openOurs(context)
  if (!agent) throw new KeytoolError('unreachable', 'the agent does not answer')
  try {
    const sealed = await withFile(path, bytes => SealedKey.read(bytes))
    const identity = await withCommentBeside(path, sealed.publicKey)
    const open = opened && { open: async () => opened }
    await agent.addSealed({ identity, terms: {}, sealed, file: resolve(path), ...open })
  } finally {
    agent.close()
  }
  await record.note('held', { state: 'done', facts: await factsAfter(facts) })
  return `by the agent at every login${keychain ? ', opened by the keychain' : '; it asks for the passphrase when it is first used'}`
}

async function isStoredBy(made: Made | undefined, print: string): Promise<boolean> {
  return made?.facts['stored'] === true && made.facts['fingerprint'] === print
}

function policyFile({ places }: Job['context']): string {
  return join(places.config, 'agent.json')
}

async function letGo({ context, record }: Undoing): Promise<string> {
  const made = record.madeBy('held')
  if (!made) return 'was not arranged by setup'
  const print = textIn(made, 'fingerprint')
  const path = policyFile(context)
  if ((await putBack(path, made)) === 'changed') await dropRule(path, print, made)
  const agent = await openOurs(context)
  if (agent) {
    try {
      const held = (await agent.list()).find(each => fingerprint(publicKeyOf(each) ?? each) === print)
      if (held) await agent.remove(held.blob)
    } finally {
      agent.close()
    }
  }
  if (made.facts['stored'] === true) await openKeychain(context).forget(print)
  return made.facts['stored'] === true
    ? 'the agent has forgotten the key, the keychain its passphrase'
    : 'the agent has forgotten the key'
}

/** agent.json was changed since: the rule about the key goes, and nothing else; what is then as it was is so to the byte. */
async function dropRule(path: string, print: string, { facts: { was } }: Made): Promise<void> {
  const bytes = await readIfThere(path)
  if (!bytes) return
  const { keys = [], ...others } = readJson(bytes)
  const left = { ...others, keys: keys.filter(rule => rule.fingerprint !== print) }
  if (left.keys.length === keys.length) return
  const before = typeof was === 'string' ? Buffer.from(was, 'base64') : undefined
  const isAsBefore = isDeepStrictEqual(left, { keys: [], ...(before ? readJson(before) : { version: 1 }) })
  if (isAsBefore && !before) return unlink(path)
  const made = isAsBefore && before ? before : Buffer.from(`${JSON.stringify(left, null, 2)}\n`)
  await writeWhole(path, made, { replace: true, mode: (await stat(path)).mode & 0o7777 })
}

interface PolicyJson {
  readonly keys?: readonly { readonly fingerprint?: string }[]
}

function readJson(bytes: Buffer): PolicyJson {
  return JSON.parse(bytes.toString('utf8')) as PolicyJson
}
