import { resolve } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import { checkWeak, parseForward, type Session } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { checkDistinct } from '../../forwards.js'
import { fromHome } from '../../home-path.js'
import { type Usage, wholeNumber } from '../../options.js'

/** What `save` and `edit` take of a session, as commander leaves it; `false` where an option's `--no-` form was given. */
export interface FieldOptions {
  host?: string
  port?: string
  user?: string | false
  charset?: string | false
  key?: string | false
  local?: string[]
  remote?: string[]
  dynamic?: string[]
  jump?: string | false
  proxyCommand?: string | false
  forwardAgent?: boolean
  hostKeyAlias?: string | false
  weak?: string[]
}

export const fieldOptions: NonNullable<Usage['options']> = [
  ['--host <host>', 'name or address of the server'],
  ['-p, --port <port>', 'its port (default: 22)'],
  ['-l, --user <user>', 'who logs in (default: who runs this)'],
  ['--charset <charset>', "what the server's programs write, such as euc-jp; none: bytes pass untouched"],
  ['-i, --key <file>', 'the key to log in with'],
  ['-L, --local <forward>', '[bind:]port:host:hostport or Unix sockets, may be given again', 'many'],
  ['-R, --remote <forward>', 'the same, listening on the server; without a target: SOCKS', 'many'],
  ['-D, --dynamic <forward>', '[bind:]port, SOCKS', 'many'],
  ['-J, --jump <hosts>', '[user@]host[:port] on the way, commas between'],
  ['--proxy-command <command>', 'a command line that is the connection, with %h and %p'],
  ['-A, --forward-agent', 'let the server use the agent here'],
  ['--host-key-alias <name>', "the name that the server's keys are kept under"],
  ['--weak <algorithm>', 'a weak algorithm to let in, by name, may be given again', 'many'],
]

/** What it is called not to have one: no charset has this name. */
const NO_CHARSET = 'none'

/** The session with what the options say in place of what it had; forwards and weak algorithms are added. */
export function withFields(session: Session, options: FieldOptions, context: Context): Session {
  const { user, charset, key, jump, proxyCommand, hostKeyAlias, host, port, forwardAgent } = options
  if (key === '') throw new KeytoolError('usage', "the name of the key's file is empty")
  // A name that nothing can be let in by would stop each connection.
  if (options.weak) checkWeak(options.weak)
  const { local, remote, dynamic } = session.forwards
  const weak = addTo(session.weak ?? [], options.weak)
  const changed = {
    ...session,
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port: wholeNumber(port, '-p', 1, 65535) }),
    forwards: {
      local: addTo(local, options.local),
      remote: addTo(remote, options.remote),
      dynamic: addTo(dynamic, options.dynamic),
    },
  }
  // A session is used from any folder. The other of two ways goes.
  const texts = {
    user,
    charset: charset === NO_CHARSET ? false : charset,
    key: typeof key === 'string' ? resolve(fromHome(key, context)) : key,
    jump: jump ?? (proxyCommand ? false : undefined),
    proxyCommand: proxyCommand ?? (jump ? false : undefined),
    hostKeyAlias,
    forwardAgent,
    weak: options.weak && weak,
  }
  if (jump && proxyCommand)
    throw new KeytoolError('usage', '-J and --proxy-command are two ways to one server: say one')
  const next = withMembers(changed, texts)
  checkDistinct([
    ...next.forwards.local.map(text => parseForward('local', text)),
    ...next.forwards.remote.map(text => parseForward('remote', text)),
    ...next.forwards.dynamic.map(text => parseForward('dynamic', text)),
  ])
  return next
}

/** Without the members that are `false`, and with those that have a value; the order is that of the session's fields. */
function withMembers(session: Session, values: Readonly<Record<string, unknown>>): Session {
  const members: Record<string, unknown> = { ...session }
  for (const [name, value] of Object.entries(values)) {
    if (value === false) delete members[name]
    else if (value !== undefined) members[name] = value
  }
  const rank = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length)
  return Object.fromEntries(Object.entries(members).sort(([a], [b]) => rank(a) - rank(b))) as unknown as Session
}

/** How a session's file begins, for those who read it. */
const order = ['version', 'name', 'host', 'port', 'user', 'charset', 'key', 'forwards']

function addTo(list: readonly string[], more: readonly string[] = []): string[] {
  return [...list, ...more.filter(text => !list.includes(text))]
}
