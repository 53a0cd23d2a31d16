import { rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { readIfThere, writeTogether } from '@keytool/agent/platform'
import {
  chooseCosts,
  fingerprint,
  formatOfOption,
  generate,
  isKeytoolError,
  KeytoolError,
  type PublicKey,
  showForeign,
  writePublicLine,
} from '@keytool/keygen'
import { SessionStore } from '@keytool/tunnel'
import { defaultComment } from '../../commands/gen/wish.js'
import { isThere, publicHalf } from '../../files.js'
import { openKeychain } from '../../keychain.js'
import type { Job, Step, Undoing } from '../job.js'
import { generatePassphraseBytes } from '../protect.js'
import { publicText } from '../public-text.js'
import { type Made, textIn } from '../record.js'

/** The key: the one that is there, or a new one. */
export const keyStep: Step = {
  name: 'key',
  title: 'key',
  sharedBy: 'key',
  async look({ key, context: { say } }) {
    const { path, publicKey, origin } = key
    if (publicKey) return { state: 'done', text: `${say.path(path)}  ${describe(publicKey)}` }
    return { state: 'to-do', text: `${say.path(path)} would be made, Ed25519, ${protections[origin ?? 'given']}` }
  },
  apply: make,
  async finish({ key }, { facts }) {
    // The private key takes its name first.
    const { path, publicKey } = key
    if (publicKey && !(await isThere(`${path}.pub`))) {
      await writeTogether([{ path: `${path}.pub`, bytes: Buffer.from(writePublicLine(publicKey)), mode: 0o644 }])
    }
    return facts
  },
  undo: remove,
  foretell({ context: { say }, flags, record }) {
    const made = record.madeBy('key')
    const path = made ? say.path(textIn(made, 'path')) : ''
    return flags.keepKey ? `${path} would stay` : `${path} and its .pub would be removed, if nothing else uses the key`
  },
}

const protections = {
  given: 'with your passphrase',
  generated: 'with a passphrase made up, which the keychain keeps',
  none: 'without a passphrase',
} as const

function describe(key: PublicKey): string {
  return showForeign(`${key.algorithm.label} ${fingerprint(key)}`)
}

/** A passphrase that is only in the keychain has to be there before there is a key that needs it. */
async function make(job: Job): Promise<string> {
  const { context, key, record, keychain } = job
  const { path, origin = 'given' } = key
  const passphrase = origin === 'generated' ? await generatePassphraseBytes() : key.passphrase
  const format = formatOfOption('openssh')
  const made = await generate('ed25519', { comment: defaultComment() })
  const { publicKey } = made
  const writing = passphrase ? { ...(await chooseCosts(format, () => performance.now())), passphrase } : {}
  const bytes = await format.write(made, writing)
  await forgetOrphan(job)
  await record.change({ key: publicText(publicKey), keyFile: path })
  const isStored = keychain !== undefined && passphrase !== undefined
  const facts = { path, fingerprint: fingerprint(publicKey), stored: isStored }
  await record.note('key', { state: 'begun', facts })
  if (isStored) {
    await keychain.store({ fingerprint: facts.fingerprint, comment: publicKey.comment, file: path }, passphrase)
  }
  await writeTogether([
    { path, bytes, mode: 0o600 },
    { path: `${path}.pub`, bytes: Buffer.from(writePublicLine(publicKey)), mode: 0o644 },
  ])
  await record.note('key', { state: 'done', facts })
  job.key = { ...key, publicKey, opened: made, ...(passphrase && { passphrase }) }
  return `${context.say.path(path)}  ${describe(publicKey)}, made ${protections[origin]}`
}

/** After an end at the wrong moment the keychain may have the passphrase of a key that never was. */
async function forgetOrphan({ record, keychain }: Job): Promise<void> {
  const before = record.madeBy('key')
  if (before?.facts['stored'] === true) await keychain?.forget(textIn(before, 'fingerprint'))
}

async function remove(undoing: Undoing): Promise<string> {
  const { context, flags, record } = undoing
  const made = record.madeBy('key')
  if (!made) return 'was not made by setup'
  const path = textIn(made, 'path')
  const shown = context.say.path(path)
  const print = textIn(made, 'fingerprint')
  const there = await publicHalf(path).catch(() => undefined)
  if (!there && (await readIfThere(path).catch(() => undefined))) return `${shown} stays: it can't be read`
  const why = there && (flags.keepKey ? '--keep-key' : await whyKept(there, made, undoing))
  if (why !== undefined) return `${shown} stays: ${why}`
  await rm(path, { force: true })
  // One that was put there since stays.
  const beside = await publicHalf(`${path}.pub`).catch(() => undefined)
  if (beside && fingerprint(beside.plain) === print) await rm(`${path}.pub`, { force: true })
  if (made.facts['stored'] === true) await openKeychain(context).forget(print)
  return there ? `${shown} and its .pub are removed` : `${shown} was gone already`
}

/** What would be lost with it. */
async function whyKept(key: PublicKey, made: Made, { context, record }: Undoing): Promise<string | undefined> {
  const path = textIn(made, 'path')
  if (fingerprint(key) !== textIn(made, 'fingerprint')) return 'it is another key now'
  const { sessions } = await new SessionStore(context.places.config).list()
  const user = sessions.find(({ key: file, name }) => file === path && name !== record.value.name)
  return user && `session ${user.name} uses it`
}

/** The default place, or the one that was named, if nothing is in the way there. @throws KeytoolError `exists` */
export async function checkFree(path: string): Promise<void> {
  for (const each of [path, `${path}.pub`]) {
    const found = await readIfThere(each).catch(error => error)
    if (found === undefined) continue
    throw new KeytoolError('exists', `${each} is in the way`, {
      reason: isKeytoolError(found) ? found.message : `there is no key ${basename(path)} beside it`,
      hint: 'name a key, or a free place for one, with -i',
    })
  }
}
