import { access } from 'node:fs/promises'
import { readPlain, readWhole } from '@keytool/agent/platform'
import {
  detectPrivate,
  type ErrorCode,
  inspectKeys,
  isKeytoolError,
  KeytoolError,
  type PrivateKey,
  type PublicKey,
  readPublicLines,
} from '@keytool/keygen'
import { askSecret, hasTerminal, readSecretFile, triesLeft } from './ask.js'
import type { Context } from './context.js'
import { describeProtection } from './protection.js'

/** How often a passphrase may be tried at a prompt. */
const TRIES = 3

/** Runs `work` on a file's bytes; an error about them names the file. */
export async function withFile<T>(path: string, work: (bytes: Buffer) => T | Promise<T>): Promise<T> {
  const bytes = await readWhole(path)
  return naming(path, () => work(bytes))
}

/** Runs `work`, which reads the bytes of a file: an error that speaks of bytes gets the file's name. */
async function naming<T>(path: string, work: () => T | Promise<T>): Promise<T> {
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
}

/** A key, and the passphrase that opened its file where there was one. */
export interface Opened {
  readonly key: PrivateKey
  readonly passphrase?: Buffer
}

/** A private key from a file of any format, its passphrase taken from where cli.md says, asked for up to three times. */
export async function openKey(path: string, unlocking: Unlocking, context: Context): Promise<Opened> {
  const bytes = await readWhole(path)
  // A public or foreign file says so before anybody is asked for a passphrase.
  const format = await naming(path, () => detectPrivate(bytes))
  const facts = await naming(path, () => format.inspect(bytes))
  if (!facts.encrypted) return { key: await naming(path, () => format.read(bytes)) }
  const tries = unlocking.passphraseFile === undefined && hasTerminal(context) ? TRIES : 1
  for (let left = tries - 1; ; left--) {
    const passphrase = await passphraseFor(path, unlocking, context)
    try {
      return { key: await naming(path, () => format.read(bytes, { passphrase })), passphrase }
    } catch (error) {
      passphrase.fill(0)
      if (!isKeytoolError(error) || error.code !== 'secret-wrong') throw error
      if (left === 0) throw wrongPassphrase(path, `${format.title}, ${describeProtection(facts)}`, error)
      context.say.prompt(`wrong passphrase, ${triesLeft(left)}`)
    }
  }
}

function passphraseFor(path: string, { passphraseFile }: Unlocking, context: Context): Promise<Buffer> {
  if (passphraseFile !== undefined) return readSecretFile(passphraseFile, 'passphrase', context)
  const hint = 'pass it with --passphrase-file FILE, or - for standard input'
  return askSecret(`passphrase for ${context.say.path(path)}`, hint, context)
}

function wrongPassphrase(path: string, what: string, cause: KeytoolError): KeytoolError {
  return new KeytoolError('secret-wrong', `wrong passphrase for ${path}`, {
    reason: `${what}; nothing was changed`,
    hint: 'try the passphrase it was made with, or pass it with --passphrase-file',
    cause,
  })
}

/** The public half of a key file: from the file where it shows it, never asking. Private files take the comment of the `.pub` beside them. */
export function publicHalf(path: string): Promise<PublicKey> {
  return withFile(path, async bytes => {
    const [first, second] = inspectKeys(bytes)
    if (second) throw new KeytoolError('usage', 'the file holds several keys; exactly one is wanted here')
    if (!first?.public) throw new KeytoolError('secret-needed', 'the file hides its public key')
    return first.kind === 'private' ? withCommentBeside(path, first.public) : first.public
  })
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
