import { isKeytoolError, isPlain, KeytoolError, showForeign } from '@keytool/keygen'
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
  /** Hosts on the way, as `-J` takes them. */
  readonly jump?: string
}

const VERSION = 1
const MAX_PATH = 4096
const MAX_FORWARDS = 256

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
    if (!Array.isArray(list) || list.length > MAX_FORWARDS) throw damaged(`${kind} is no list of forwards`)
    for (const spec of list) parseForward(kind, text(spec))
  }
}

function checkCharset(charset: string): string {
  try {
    // TextDecoder itself would overlook blanks and newlines around a name.
    if (!/^[\w.:-]+$/.test(charset)) throw new RangeError('no name')
    new TextDecoder(charset)
    return charset
  } catch (cause) {
    throw new KeytoolError('usage', `${JSON.stringify(showForeign(charset, 64))} is no charset known here`, {
      hint: 'such as utf-8, euc-jp, shift_jis, iso-8859-1',
      cause,
    })
  }
}

function checkPath(path: string): string {
  if (path !== '' && path.length <= MAX_PATH && isPlain(path) && !path.startsWith('-')) return path
  throw new KeytoolError('usage', 'that is no path of a key')
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
