import { userInfo } from 'node:os'
import { KeytoolError } from '@keytool/keygen'
import {
  checkHost,
  checkPort,
  checkUser,
  formatPlace,
  type HostSettings,
  parseTarget,
  readJump,
  readSshConfig,
  type Session,
  SessionStore,
  type Target,
} from '@keytool/tunnel'
import type { Context } from './context.js'
import { wholeNumber } from './options.js'

/** Hosts on the way, those included that the first one is reached through. */
const MAX_HOPS = 16
const SSH_PORT = 22

/** Where a command goes, all of it known. */
export interface Destination {
  /** What is dialled: HostName where the configuration has one. */
  readonly host: string
  /** As it was typed, or as the session has it: what a program of ProxyCommand is told with %n. */
  readonly typed: string
  readonly port: number
  readonly user: string
  /** The saved session whose name was given, if it was one. */
  readonly session?: Session
  /** What ssh_config says about it. */
  readonly settings: HostSettings
  /** Hosts on the way, the first one dialled first. */
  readonly hops: readonly Destination[]
  /** The program that makes the connection; never together with hops. */
  readonly proxyCommand?: string
}

export interface ReachOptions {
  /** `-p`. */
  readonly port?: string
  /** `-l`. */
  readonly login?: string
  /** `-J`. */
  readonly jump?: string
  /** `-F`. */
  readonly config?: string
  /** `-o`, as often as it was given. */
  readonly option?: readonly string[]
}

/** The flags of {@link ReachOptions}, as every command that goes to a host has them. */
export const reachFlags = [
  ['-p, --port <port>', "the server's port"],
  ['-l, --login <user>', 'who logs in'],
  ['-J, --jump <hosts>', 'hosts on the way: [user@]host[:port],...'],
  ['-F, --config <file>', 'read this in place of ~/.ssh/config (none: no file)'],
  ['-o, --option <setting>', 'a line of ssh_config, such as ConnectTimeout=5; may be given again', 'many'],
] as const

/**
 * A word that names a host: a saved session, or ssh's `[USER@]HOST`, which may stand in ssh_config. What the options say
 * goes before what is saved, and that before ssh_config.
 */
export async function resolveDestination(word: string, options: ReachOptions, context: Context): Promise<Destination> {
  const session = await savedSession(word, context)
  const target = session ?? parseTarget(word)
  return resolveTarget(target, session, options, context, 0)
}

/** The same for a host of this name, whatever session is called so. */
export async function resolveHost(host: string, options: ReachOptions, context: Context): Promise<Destination> {
  return resolveTarget({ host }, undefined, options, context, 0)
}

async function resolveTarget(
  target: Target,
  session: Session | undefined,
  options: ReachOptions,
  context: Context,
  depth: number,
): Promise<Destination> {
  // A session always has a port: 22 is what it has when none was said, and then ssh_config may say another.
  const own = session && session.port === SSH_PORT ? undefined : target.port
  const port = options.port === undefined ? own : wholeNumber(options.port, '-p', 1, 65535)
  const user = options.login === undefined ? target.user : checkUser(options.login)
  const query = { host: target.host, port, user, localUser: localName(), home: context.places.home }
  const { config: file, option: extra } = options
  const settings = await readSshConfig(query, { file, extra, env: context.env })
  const destination = {
    host: checkHost(settings.host),
    typed: target.host,
    port: checkPort(port ?? settings.port ?? SSH_PORT),
    user: user ?? settings.user ?? ownName(),
    ...(session && { session }),
    settings,
  }
  const jump = options.jump ?? session?.jump ?? (session?.proxyCommand === undefined ? settings.proxyJump : undefined)
  const hops = jump === undefined || jump === 'none' ? [] : await resolveHops(jump, options, context, depth)
  const proxyCommand = jump === undefined ? (session?.proxyCommand ?? settings.proxyCommand) : undefined
  return { ...destination, hops, ...(proxyCommand !== undefined && proxyCommand !== 'none' && { proxyCommand }) }
}

/**
 * As with ssh: each host is looked up for itself, and of what it says only the way to the first one counts. Flags for the
 * last host are not for these.
 */
async function resolveHops(
  jump: string,
  { config, option }: ReachOptions,
  context: Context,
  depth: number,
): Promise<readonly Destination[]> {
  const hops: Destination[] = []
  for (const target of readHops(jump)) {
    if (depth + hops.length >= MAX_HOPS) {
      throw new KeytoolError('usage', `the way has more than ${MAX_HOPS} hosts`, { reason: 'it may go in a circle' })
    }
    // `-o ProxyJump=…` of the command line would send the hop through itself.
    const plain = option?.filter(line => !/^\s*proxy(jump|command)\b/i.test(line))
    const more: ReachOptions = {
      ...(config !== undefined && { config }),
      ...(plain && { option: plain }),
      ...(hops.length > 0 && { jump: 'none' }),
    }
    const word = target.user === undefined && target.port === undefined ? target.host : undefined
    const session = word === undefined ? undefined : await savedSession(word, context)
    const hop = await resolveTarget(session ?? target, session, more, context, depth + hops.length + 1)
    hops.push(...hop.hops, { ...hop, hops: [] })
  }
  return hops
}

function readHops(jump: string): Target[] {
  try {
    return readJump(jump, true).map(({ user, host, port }) => ({
      ...(user !== undefined && { user: checkUser(user) }),
      host: checkHost(host),
      ...(port !== undefined && { port: checkPort(port) }),
    }))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new KeytoolError('usage', `-J ${JSON.stringify(jump)} can't be used`, { reason: why, cause })
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
export function showDestination({ user, host, port }: Pick<Destination, 'user' | 'host' | 'port'>): string {
  return `${user}@${port === 22 ? host : formatPlace(host, port)}`
}

function ownName(): string {
  const name = localName()
  if (name !== '') return name
  throw new KeytoolError('usage', 'the user running this has no name', { hint: 'write USER@HOST' })
}

function localName(): string {
  try {
    return userInfo().username
  } catch {
    return ''
  }
}
