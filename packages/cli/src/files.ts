import { access, stat } from 'node:fs/promises'
import { type FileIdentity, readPlain, readToRewrite, readWhole } from '@keytool/agent/platform'
import {
  defaultLimits,
  detectPrivate,
  type ErrorCode,
  type Inspected,
  inspectKeys,
  isKeytoolError,
  type KeyFacts,
  type KeyFormat,
  KeytoolError,
  noLimits,
  type PrivateKey,
  type PublicKey,
  readPublicLines,
  type WritableFormat,
  writable,
} from '@keytool/keygen'
import { askSecret, hasTerminal, readSecretFile, triesLeft } from './ask.js'
import type { Context } from './context.js'
import { describeForm, otherForms } from './passphrase/forms.js'
import { describeProtection } from './protection.js'

/** How often a passphrase may be tried at a prompt. */
const TRIES = 3

/** Runs `work` on a file's bytes; an error about them names the file. */
export async function withFile<T>(path: string, work: (bytes: Buffer) => T | Promise<T>): Promise<T> {
  const bytes = await readWhole(path)
  return naming(path, () => work(bytes))
}

/** Runs `work`, which reads the bytes of a file: an error that speaks of bytes gets the file's name. */
export async function naming<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!isKeytoolError(error) || !speaksOfBytes.has(error.code)) throw error
    const { code, message, reason, hint, offset, cause } = error
    throw new KeytoolError(code, `${path}: ${message}`, { ...defined({ reason, hint, offset }), cause })
  }
}

const speaksOfBytes: ReadonlySet<ErrorCode> = new Set(['damaged', 'unsupported', 'secret-needed', 'usage'])

export interface Unlocking {
  readonly passphraseFile?: string
  /** Whether the file's KDF may cost whatever it asks for. */
  readonly anyCost?: boolean
}

/** A key, the passphrase that opened its file where there was one, and what the file is. */
export interface Opened<F extends KeyFormat = KeyFormat> {
  readonly key: PrivateKey
  readonly passphrase?: Buffer
  readonly format: F
  readonly facts: KeyFacts
  /** Of a file that is to be written anew: which one was read. */
  readonly identity?: FileIdentity
}

/** A private key from a file of any format, its passphrase taken from where cli.md says, asked for up to three times. */
export async function openKey(path: string, unlocking: Unlocking, context: Context): Promise<Opened> {
  const bytes = await readWhole(path)
  // A public or foreign file says so before anybody is asked for a passphrase.
  const format = await naming(path, () => detectPrivate(bytes))
  return openAs(format, path, bytes, unlocking, context)
}

/** Like {@link openKey}, for a file that is to be written anew in its own format: one that can't be says so first. */
export async function openToRewrite(
  path: string,
  unlocking: Unlocking,
  context: Context,
): Promise<Opened<WritableFormat>> {
  const { bytes, identity } = await readToRewrite(path)
  const format = await naming(path, () => writable(detectPrivate(bytes)))
  await checkAlone(path, bytes, context)
  return { ...(await openAs(format, path, bytes, unlocking, context)), identity }
}

/** Like {@link openKey}, for a file whose place a file of another format is to take. */
export async function openToReplace(path: string, unlocking: Unlocking, context: Context): Promise<Opened> {
  const { bytes, identity } = await readToRewrite(path)
  await checkAlone(path, bytes, context)
  const format = await naming(path, () => detectPrivate(bytes))
  return { ...(await openAs(format, path, bytes, unlocking, context)), identity }
}

/** Before a key takes the place of the file it came from: throws `refused` where something would be lost with that. */
async function checkAlone(path: string, bytes: Buffer, context: Context): Promise<void> {
  const format = await naming(path, async () => {
    const found = detectPrivate(bytes)
    // What is damaged, or holds several keys, says so first.
    await found.inspect(bytes)
    return found
  })
  if (format.isAlone?.(bytes) ?? true) return
  throw new KeytoolError('refused', `${path} holds more than the key (certificates or text beside it)`, {
    reason: 'nothing was changed',
    hint: `${context.name} convert ${context.say.word(path)} -o NEW --to ${format.option ?? 'openssh'} writes the key alone`,
  })
}

async function openAs<F extends KeyFormat>(
  format: F,
  path: string,
  bytes: Buffer,
  unlocking: Unlocking,
  context: Context,
): Promise<Opened<F>> {
  const limits = unlocking.anyCost ? noLimits : defaultLimits
  const facts = await naming(path, () => format.inspect(bytes))
  if (!facts.encrypted) return { key: await naming(path, () => format.read(bytes, { limits })), format, facts }
  const tries = unlocking.passphraseFile === undefined && hasTerminal(context) ? TRIES : 1
  for (let left = tries - 1; ; left--) {
    const passphrase = await passphraseFor(path, unlocking, context)
    const read = (secret: Buffer) => naming(path, () => format.read(bytes, { passphrase: secret, limits }))
    try {
      return { key: await read(passphrase), passphrase, format, facts }
    } catch (error) {
      if (!isKeytoolError(error) || error.code !== 'secret-wrong') throw error
      const other = await findOtherForm(passphrase, read)
      passphrase.fill(0)
      const what = `${format.title}, ${describeProtection(facts)}`
      if (other && !hasTerminal(context)) throw otherForm(path, other.passphrase, error)
      if (other) {
        // Whoever types can't choose the form their keyboard gives; they meant what opens the file.
        context.say.prompt(`${context.say.path(path)} ${describeForm(other.passphrase)}`)
        return { ...other, format, facts }
      }
      if (left === 0) throw wrongPassphrase(path, what, error)
      context.say.prompt(`wrong passphrase, ${triesLeft(left)}`)
    }
  }
}

/** What the same letters in their other Unicode form open, if anything. */
async function findOtherForm(
  passphrase: Buffer,
  read: (passphrase: Buffer) => Promise<PrivateKey>,
): Promise<{ key: PrivateKey; passphrase: Buffer } | undefined> {
  for (const form of otherForms(passphrase)) {
    const key = await read(form).catch(() => undefined)
    if (key) return { key, passphrase: form }
    form.fill(0)
  }
  return undefined
}

function otherForm(path: string, form: Buffer, cause: KeytoolError): KeytoolError {
  const reason = `the file ${describeForm(form)}; nothing was changed`
  form.fill(0)
  return new KeytoolError('secret-wrong', `wrong passphrase for ${path}`, {
    reason,
    hint: 'type it at a terminal, or write it in that form into the passphrase file',
    cause,
  })
}

function passphraseFor(path: string, { passphraseFile }: Unlocking, context: Context): Promise<Buffer> {
  if (passphraseFile !== undefined) return readSecretFile(passphraseFile, 'passphrase', context)
  const hint = 'pass it with --passphrase-file FILE, or - for standard input'
  return askSecret(`passphrase for ${context.say.path(path)}`, hint, context)
}

function wrongPassphrase(path: string, what: string, cause: KeytoolError): KeytoolError {
  // What the format knows besides: that the file may have been altered.
  const why = cause.reason === undefined ? what : `${what}; ${cause.reason}`
  return new KeytoolError('secret-wrong', `wrong passphrase for ${path}`, {
    reason: `${why}; nothing was changed`,
    hint: 'try the passphrase it was made with, or pass it with --passphrase-file',
    cause,
  })
}

/** The public half of a key file: from the file where it shows it, never asking. Private files take the comment of the `.pub` beside them. */
export function publicHalf(path: string): Promise<PublicKey> {
  return withFile(path, async bytes => {
    const [first, second] = await inspectKeys(bytes)
    // What holds no key at all says so, however often.
    if (first && first.kind !== 'private' && !first.public) throw noKey(first)
    if (second) throw new KeytoolError('usage', 'the file holds several keys; exactly one is wanted here')
    if (!first?.public) throw new KeytoolError('secret-needed', 'the file hides its public key')
    return first.kind === 'private' ? withCommentBeside(path, first.public) : first.public
  })
}

function noKey(found: Inspected): KeytoolError {
  if ('error' in found && found.error) return found.error
  const what: Readonly<Record<string, string>> = {
    sshfp: 'an SSHFP record holds no key: it is the fingerprint of one',
    krl: 'a revocation list holds no key',
  }
  return new KeytoolError('unsupported', what[found.kind] ?? 'there is no key of SSH-2 in it')
}

/**
 * Like {@link publicHalf}, for a file that may hide its public half: then it is opened, with the passphrase taken from where
 * cli.md says.
 */
export async function publicOrOpened(path: string, unlocking: Unlocking, context: Context): Promise<PublicKey> {
  try {
    return await publicHalf(path)
  } catch (error) {
    if (!isKeytoolError(error) || error.code !== 'secret-needed') throw error
  }
  const { key } = await openKey(path, unlocking, context)
  key.wipe()
  return withCommentBeside(path, key.publicKey)
}

/**
 * The key with the comment of the `.pub` beside it, where there is one and it is this key's.
 * @param nameless what a `.pub` without a comment counts for; default: the key's own
 */
export async function withCommentBeside(
  path: string,
  key: PublicKey,
  nameless: string = key.comment,
): Promise<PublicKey> {
  try {
    const [beside] = readPublicLines(await readPlain(`${path}.pub`))
    return beside?.equals(key) ? key.withComment(beside.comment || nameless) : key
  } catch {
    // A `.pub` that is missing or damaged changes nothing about the key itself.
    return key
  }
}

/** Whether two paths lead to one file. */
export async function isSameFile(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([one, other].map(path => stat(path).catch(() => undefined)))
  return first !== undefined && second !== undefined && first.ino === second.ino && first.dev === second.dev
}

export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true
}

export async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** The same object without its undefined members. */
function defined<T extends Record<string, unknown>>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as never
}
