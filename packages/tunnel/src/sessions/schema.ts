import { isKeytoolError, isPlain, KeytoolError, showForeign } from '@keytool/keygen'
import { findCharset } from '../charset/charset.js'
import { type ForwardKind, parseForward } from '../forwards/spec.js'
import { checkHost, checkPort, checkUser } from './target.js'

/** A saved session, as it stands in its file. */
export interface Session {
  readonly version: 1
  readonly name: string
  readonly host: string
  readonly port: number
  readonly user?: string
  /** What the far side's programs write in; a name that TextDecoder knows, such as `euc-jp`. */
  readonly charset?: string
  /** Path of the key to log in with. */
  readonly key?: string
  /** In ssh's own notation. */
  readonly forwards: { readonly [kind in ForwardKind]: readonly string[] }
  /** Hosts on the way, as `-J` takes them. Not beside a proxyCommand. */
  readonly jump?: string
  /** A command line whose input and output are the connection, run by a shell here; ssh's `%h`, `%p`, `%r`, `%%` in it. */
  readonly proxyCommand?: string
  /** Whether programs on the far side may use the agent here. */
  readonly forwardAgent?: boolean
  /** The name that the host's keys are looked up and kept under, in place of its own. */
  readonly hostKeyAlias?: string
  /** Names of weak algorithms that this session lets in, such as `ssh-rsa`. */
  readonly weak?: readonly string[]
}

const VERSION = 1
const MAX_PATH = 4096
const MAX_COMMAND = 4096
const MAX_FORWARDS = 1024
const MAX_WEAK = 64

/** Checks one value; throws a KeytoolError or returns it. */
type Check = (value: unknown) => unknown

const forwardKinds: readonly ForwardKind[] = ['local', 'remote', 'dynamic']

/** One row a field. Whatever is not here is no field. */
const fields: Readonly<Record<keyof Session, { readonly required: boolean; readonly check: Check }>> = {
  version: { required: true, check: value => value },
  name: { required: true, check: value => checkSessionName(text(value)) },
  host: { required: true, check: value => checkHost(text(value)) },
  port: { required: true, check: value => checkPort(typeof value === 'number' ? value : Number.NaN) },
  user: { required: false, check: value => checkUser(text(value)) },
  charset: { required: false, check: value => checkCharset(text(value)) },
  key: { required: false, check: value => checkPath(text(value)) },
  forwards: { required: true, check: checkForwards },
  jump: { required: false, check: value => text(value).split(',').every(checkHop) },
  proxyCommand: { required: false, check: value => checkCommand(text(value)) },
  forwardAgent: { required: false, check: checkFlag },
  hostKeyAlias: { required: false, check: value => checkHost(text(value)) },
  weak: { required: false, check: checkWeak },
}

/**
 * The value as a session, every field checked, the same for what comes from a file and from a command line.
 * @throws KeytoolError `unsupported` for a newer version; `damaged`, naming the field, for everything else
 */
export function checkSession(value: unknown): Session {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw damaged('it is no JSON object')
  const given = value as Readonly<Record<string, unknown>>
  const { version } = given
  if (typeof version === 'number' && Number.isInteger(version) && version > VERSION) {
    throw new KeytoolError('unsupported', `the session has version ${version}, made by a newer program`, {
      reason: `versions up to ${VERSION} are understood here; it is left as it is`,
    })
  }
  if (version !== VERSION) throw damaged('version is missing or no version')
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(fields, name)) throw damaged(`there is no field ${JSON.stringify(showForeign(name, 64))}`)
  }
  for (const [name, { required, check }] of Object.entries(fields)) {
    if (given[name] !== undefined) checkField(name, check, given[name])
    else if (required) throw damaged(`${name} is missing`)
  }
  if (given['jump'] !== undefined && given['proxyCommand'] !== undefined) {
    throw damaged('jump and proxyCommand are two ways to one server: it has one of them')
  }
  return value as Session
}

/** A name that is a file's name on every system. */
export function checkSessionName(name: string): string {
  if (/^(?![-.])[A-Za-z0-9._-]{1,64}$/.test(name)) return name
  throw new KeytoolError('usage', `${JSON.stringify(showForeign(name, 64))} can't be the name of a session`, {
    hint: 'letters, digits, dot, dash and underscore, at most 64, not a dot or dash in front',
  })
}

function checkField(name: string, check: Check, value: unknown): void {
  try {
    check(value)
  } catch (error) {
    const known = isKeytoolError(error)
    const reason = known ? [error.message, error.reason].filter(Boolean).join(': ') : String(error)
    throw damaged(`${name}: ${reason}`, error, known ? error.hint : undefined)
  }
}

function checkForwards(value: unknown): void {
  if (typeof value !== 'object' || value === null) throw damaged('it is no object')
  const given = value as Readonly<Record<string, unknown>>
  for (const name of Object.keys(given)) {
    if (!forwardKinds.some(kind => kind === name)) throw damaged(`no kind ${JSON.stringify(showForeign(name, 64))}`)
  }
  for (const kind of forwardKinds) {
    const list = given[kind]
    if (!Array.isArray(list)) throw damaged(`${kind} is no list of forwards`)
    if (list.length > MAX_FORWARDS)
      throw damaged(`${list.length} ${kind} ones, and ${MAX_FORWARDS} of a kind are the most`)
    for (const spec of list) parseForward(kind, text(spec))
  }
}

/** The charset's name, if it is one that is known here. Throws `usage`. */
export function checkCharset(charset: string): string {
  findCharset(charset)
  return charset
}

function checkPath(path: string): string {
  if (path !== '' && path.length <= MAX_PATH && isPlain(path) && !path.startsWith('-')) return path
  throw new KeytoolError('usage', 'that is no path of a key')
}

/** It is the user's own, and a shell's: only what can't be seen is refused. */
function checkCommand(command: string): string {
  if (command.trim() === command && command !== '' && command.length <= MAX_COMMAND && isPlain(command)) {
    // ssh's word for having none.
    if (command.toLowerCase() !== 'none') return command
  }
  throw new KeytoolError('usage', 'that is no command line', { hint: 'such as: nc -X connect -x proxy:3128 %h %p' })
}

function checkFlag(value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw new KeytoolError('usage', 'it is neither true nor false')
}

function checkWeak(value: unknown): void {
  if (!Array.isArray(value) || value.length > MAX_WEAK) throw damaged('it is no list of algorithms')
  for (const name of value) {
    if (/^[A-Za-z0-9@.-]{1,64}$/.test(text(name))) continue
    throw new KeytoolError('usage', `${JSON.stringify(showForeign(text(name), 64))} is no name of an algorithm`)
  }
}

function checkHop(hop: string): boolean {
  const [, user, host = '', port] = /^(?:(.*)@)?(.*?)(?::(\d{1,5}))?$/.exec(hop) ?? []
  if (user !== undefined) checkUser(user)
  checkHost(host.replace(/^\[(.*)\]$/, '$1'))
  if (port !== undefined) checkPort(Number(port))
  return true
}

function text(value: unknown): string {
  if (typeof value === 'string') return value
  throw new KeytoolError('usage', 'it is no text')
}

function damaged(reason: string, cause?: unknown, hint?: string): KeytoolError {
  return new KeytoolError('damaged', 'the session is not as it should be', { reason, cause, ...(hint && { hint }) })
}
