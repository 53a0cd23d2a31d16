import { createHash } from 'node:crypto'
import type { Keychain, KeychainEntry } from '@keytool/agent'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { askSecret, canAskSecret, readSecretFile } from '../../ask.js'
import type { Context } from '../../context.js'
import { explain, isNone, openKeychain } from '../../keychain.js'
import type { Forge } from './forge.js'

export interface TokenOptions {
  /** `--token-file`: its first line; `-` is standard input. */
  readonly tokenFile?: string
  /** `--remember-token`: what has served is kept in the system's keychain. */
  readonly rememberToken?: boolean
}

/** What an entry for a token is called in the keychain's list. */
const COMMENT = 'token for '

/**
 * Where the keychain keeps the token: beside the passphrases, under a name of the same form that is no key's fingerprint.
 * `keychain forget "token for github.com"` finds it.
 */
export function tokenEntry({ base, name }: Forge): KeychainEntry {
  const print = createHash('sha256').update(`keytool: token for ${base}`).digest('base64').replace(/=+$/, '')
  return { fingerprint: `SHA256:${print}`, comment: `${COMMENT}${name}` }
}

/** Whether the keychain's entry is a token's: no file goes with it. */
export function isTokenEntry({ comment, file }: KeychainEntry): boolean {
  return file === undefined && comment.startsWith(COMMENT)
}

/**
 * Does the work with the forge's token: from the file, else from the keychain, else from whoever can be asked. One from the
 * keychain that is not accepted any more is asked for anew, once.
 * @throws KeytoolError `secret-needed` where there is none and nobody to ask, and what `work` throws
 */
export async function withToken<T>(
  forge: Forge,
  options: TokenOptions,
  context: Context,
  work: (token: string) => Promise<T>,
): Promise<T> {
  if (options.tokenFile !== undefined) {
    return use(await readSecretFile(options.tokenFile, 'token', context), forge, options, context, work)
  }
  const keychain = openKeychain(context)
  const { token, locked } = await look(keychain, forge)
  if (token) {
    try {
      return await use(token, forge, {}, context, work)
    } catch (error) {
      if (!isKeytoolError(error) || error.code !== 'secret-wrong' || !canAskSecret(context)) throw error
      context.say.note(`the keychain's token is not accepted by ${forge.name} any more`)
      return use(await ask(forge, context), forge, { rememberToken: true }, context, work)
    }
  }
  if (locked && !canAskSecret(context)) throw locked
  return use(await ask(forge, context), forge, options, context, work)
}

async function look(keychain: Keychain, forge: Forge): Promise<{ token?: Buffer | undefined; locked?: KeytoolError }> {
  try {
    return { token: await keychain.find(tokenEntry(forge).fingerprint) }
  } catch (error) {
    // Without a keychain there is somebody to ask, or not.
    if (!isKeytoolError(error)) throw error
    return error.code === 'refused' ? { locked: error } : {}
  }
}

function ask({ name }: Forge, context: Context): Promise<Buffer> {
  return askSecret(`token for ${name}`, 'pass it with --token-file FILE, or - for standard input', context)
}

/** Wipes the token. The text that HTTP needs of it can't be wiped: it is gone with the process, which ends soon. */
async function use<T>(
  token: Buffer,
  forge: Forge,
  { rememberToken = false }: TokenOptions,
  context: Context,
  work: (token: string) => Promise<T>,
): Promise<T> {
  try {
    const result = await work(checkToken(token.toString('latin1'), forge))
    if (rememberToken) await remember(token, forge, context)
    return result
  } finally {
    token.fill(0)
  }
}

/** It becomes a line of a request's head, so nothing may stand in it that ends one. */
function checkToken(text: string, { name }: Forge): string {
  if (/^[\x21-\x7e]{1,1024}$/.test(text)) return text
  throw new KeytoolError('secret-wrong', `that is no token for ${name}`, {
    reason: text === '' ? 'it is empty' : 'it has blanks or other characters that none has, or is too long',
  })
}

/** The work is done, whatever becomes of this. */
async function remember(token: Buffer, forge: Forge, context: Context): Promise<void> {
  try {
    await openKeychain(context).store(tokenEntry(forge), token)
    context.say.note(`the keychain keeps the token for ${forge.name}`)
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    const why = isNone(error) ? 'there is no keychain here' : explain(error)
    context.say.note(`the token is not remembered: ${why}`)
  }
}
