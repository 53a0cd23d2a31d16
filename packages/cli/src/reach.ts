import { userInfo } from 'node:os'
import { KeytoolError } from '@keytool/keygen'
import { type AskPassword, checkPort, checkUser, parseTarget, type Session, SessionStore } from '@keytool/tunnel'
import { askSecret, readSecretFile, triesLeft } from './ask.js'
import type { Context } from './context.js'
import { wholeNumber } from './options.js'

/** All that looks like the quotes that a server's words stand in: they can't be closed from inside. */
const QUOTES = /[\p{Pi}\p{Pf}"″＂〃„‟]/gu

/** How often the tunnel's room asks for a password. */
const PASSWORD_TRIES = 3

/** Where a command goes, all of it known. */
export interface Destination {
  readonly host: string
  readonly port: number
  readonly user: string
  /** The saved session whose name was given, if it was one. */
  readonly session?: Session
}

export interface ReachOptions {
  /** `-p`. */
  readonly port?: string
  /** `-l`. */
  readonly login?: string
}

/** A word that names a host: a saved session, or ssh's `[USER@]HOST`. What the options say goes before what is saved. */
export async function resolveDestination(word: string, options: ReachOptions, context: Context): Promise<Destination> {
  const port = options.port === undefined ? undefined : wholeNumber(options.port, '-p', 1, 65535)
  const login = options.login === undefined ? undefined : checkUser(options.login)
  const session = await savedSession(word, context)
  if (session?.jump !== undefined) {
    throw new KeytoolError('unsupported', `the session ${word} goes by way of ${session.jump}, which is not done yet`, {
      reason: 'it is not dialled directly instead: another host may answer to that name here',
    })
  }
  if (session) {
    return {
      host: session.host,
      port: port ?? session.port,
      user: login ?? session.user ?? ownName(),
      session,
    }
  }
  const target = parseTarget(word)
  return {
    host: target.host,
    port: port ?? checkPort(target.port ?? 22),
    user: login ?? target.user ?? ownName(),
  }
}

/** The session of this name. A name that can't be one, or is none, is a host's. */
async function savedSession(word: string, { places }: Context): Promise<Session | undefined> {
  if (/[@:/]/.test(word)) return undefined
  const store = new SessionStore(places.config)
  try {
    return await store.load(word)
  } catch (error) {
    if (error instanceof KeytoolError && (error.code === 'not-found' || error.code === 'usage')) return undefined
    throw error
  }
}

/** The error that tells which saved sessions a word may have meant. */
export async function nearSession(word: string, { places }: Context): Promise<KeytoolError | undefined> {
  return new SessionStore(places.config).load(word).then(
    () => undefined,
    error => (error instanceof KeytoolError ? error : undefined),
  )
}

/** `user@host`, with the port where it is not 22. */
export function showDestination({ user, host, port }: Destination): string {
  return `${user}@${host}${port === 22 ? '' : `:${port}`}`
}

/**
 * Gives the account's password: from a file, through SSH_ASKPASS, on the terminal.
 * @param why says why it comes to a password, before the first question
 */
export function passwordSource(file: string | undefined, context: Context, why?: () => string): AskPassword {
  let given = false
  return async ({ user, host, text, kind, echo, attempt }) => {
    if (file !== undefined) {
      // Once: the same wrong password again would only count against the account, and what else is asked is no password.
      if (given)
        throw new KeytoolError('secret-wrong', `${host} is not content with the password in ${file} for ${user}`)
      given = true
      return readSecretFile(file, 'password', context)
    }
    if (attempt === 1 && why) context.say.note(why())
    if (attempt > 1) context.say.prompt(`that was refused; ${triesLeft(PASSWORD_TRIES - attempt + 1)}`)
    const isPassword = kind === 'password' || /^password:?$/i.test(text)
    // What the server asks stands behind our own words and in quotes, so that it can't pass for a question of ours.
    const prompt = isPassword ? `password for ${user}@${host}` : `${user}@${host} asks "${text.replace(QUOTES, "'")}"`
    return askSecret(prompt, 'pass it with --password-file FILE, or - for standard input', context, echo)
  }
}

function ownName(): string {
  try {
    return userInfo().username
  } catch (cause) {
    throw new KeytoolError('usage', 'the user running this has no name', { hint: 'write USER@HOST', cause })
  }
}
