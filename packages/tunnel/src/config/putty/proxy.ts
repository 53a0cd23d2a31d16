import { isIPv6 } from 'node:net'
import { KeytoolError, showForeign } from '@keytool/keygen'
import type { Session } from '../../sessions/schema.js'
import { checkHost, checkPort, checkUser } from '../../sessions/target.js'
import { numberOf, type SavedSettings, textOf } from './settings.js'

/** How PuTTY may go through something else, by the number in `ProxyMethod`. */
const methods = [
  'none',
  'SOCKS 4',
  'SOCKS 5',
  'HTTP',
  'Telnet',
  'command',
  'ssh',
  'ssh command',
  'ssh subsystem',
] as const

/** Before `ProxyMethod` there was `ProxyType`, its SOCKS's version beside it. */
const oldTypes = [0, 3, 2, 4, 5] as const

export interface ProxyFound {
  readonly jump?: string
  readonly proxyCommand?: string
  /** Why the proxy can't be carried. */
  readonly leftOut?: string
  /** What has to be there for it. */
  readonly lookAt?: string
}

/** The way PuTTY takes to the server, as a session has it. Throws `usage` for a hostile jump host or command. */
export function readProxy(settings: SavedSettings): ProxyFound {
  const method = methods[methodOf(settings)]
  if (method === 'none') return {}
  if (method === 'command') return readCommand(settings)
  const protocol = method && protocols[method]
  if (method && protocol !== undefined) return readWithNetcat(method, protocol, settings)
  if (method !== 'ssh') return { leftOut: `ProxyMethod: a proxy of the kind ${method ?? 'unknown'}` }
  const host = checkHost(textOf(settings, 'ProxyHost').replace(/^\[(.*)\]$/, '$1'))
  const user = textOf(settings, 'ProxyUsername')
  const port = checkPort(numberOf(settings, 'ProxyPort', 22))
  return {
    jump: `${user === '' ? '' : `${checkHopUser(user)}@`}${isIPv6(host) ? `[${host}]` : host}${port === 22 ? '' : `:${port}`}`,
  }
}

/** Proxies that OpenBSD's nc speaks to, by its `-X`. */
const protocols: { readonly [method in (typeof methods)[number]]?: string } = {
  'SOCKS 4': '4',
  'SOCKS 5': '5',
  HTTP: 'connect',
}

/** PuTTY's default. */
const PROXY_PORT = 80

/** A command in place of a proxy, if it asks for no password and a shell finds nothing in its name. */
function readWithNetcat(method: string, protocol: string, settings: SavedSettings): ProxyFound {
  const leftOut = (why: string) => ({ leftOut: `ProxyMethod: a proxy of the kind ${method}${why}` })
  if (textOf(settings, 'ProxyUsername') + textOf(settings, 'ProxyPassword') !== '') {
    return leftOut(' that wants a user or a password')
  }
  const host = textOf(settings, 'ProxyHost').replace(/^\[(.*)\]$/, '$1')
  const port = numberOf(settings, 'ProxyPort', PROXY_PORT)
  const isHost = /^(?!-)[A-Za-z\d._-]{1,255}$/.test(host) || (isIPv6(host) && !host.includes('%'))
  if (!isHost) return leftOut(', its host is no name of a host')
  if (port < 1 || port > 65535) return leftOut(', its port is none')
  // Brackets mean something to a shell; quotes are the same to all.
  const place = isIPv6(host) ? `"[${host}]:${port}"` : `${host}:${port}`
  return {
    proxyCommand: `nc -X ${protocol} -x ${place} %h %p`,
    lookAt: "its proxy is reached with OpenBSD's nc: it has to be there",
  }
}

/** A comma would part one hop from the next, a blank one option from the next. */
function checkHopUser(user: string): string {
  if (!/[,\s]/.test(user)) return checkUser(user)
  throw new KeytoolError('usage', `${JSON.stringify(showForeign(user, 64))} is no name of a user on a jump host`)
}

function methodOf(settings: SavedSettings): number {
  const method = numberOf(settings, 'ProxyMethod', -1)
  if (method !== -1) return method
  const type = numberOf(settings, 'ProxyType', 0)
  return type === 2 && numberOf(settings, 'ProxySOCKSVersion', 5) === 4 ? 1 : (oldTypes[type] ?? 2)
}

/** PuTTY's words in a local proxy command, and ssh's. The others are put in as they stand, if a shell finds nothing in them. */
const tokens: Readonly<Record<string, string>> = { host: '%h', port: '%p' }
const PLAIN_WORD = /^[\w.:@-]*$/

function readCommand(settings: SavedSettings): ProxyFound {
  const fixed: Readonly<Record<string, string>> = {
    proxyhost: textOf(settings, 'ProxyHost'),
    proxyport: String(numberOf(settings, 'ProxyPort', PROXY_PORT)),
    user: textOf(settings, 'ProxyUsername'),
  }
  let leftOut: string | undefined
  const command = textOf(settings, 'ProxyTelnetCommand').replace(
    /\\(x[\dA-Fa-f]{1,2}|[\s\S])|%(%|proxyhost|proxyport|host|port|user|pass)?/g,
    (_, escaped: string | undefined, name: string | undefined) => {
      if (escaped !== undefined) return double(unescapeOne(escaped))
      if (name === undefined || name === '%') return '%%'
      const token = tokens[name]
      if (token !== undefined) return token
      const value = fixed[name]
      if (value !== undefined && PLAIN_WORD.test(value)) return value
      leftOut = 'ProxyTelnetCommand: a command with a password or what a shell could take for more in it'
      return ''
    },
  )
  return leftOut === undefined ? { proxyCommand: command.trim() } : { leftOut }
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }

function unescapeOne(escaped: string): string {
  if (/^x[\dA-Fa-f]/.test(escaped)) return String.fromCharCode(Number.parseInt(escaped.slice(1), 16))
  return escapes[escaped] ?? escaped
}

function double(character: string): string {
  return character === '%' ? '%%' : character
}

/** A session's way as PuTTY's settings, as far as PuTTY can go it; `undefined` for what it can't. */
export function writeProxy({ jump, proxyCommand }: Session): Map<string, string | number> | undefined {
  if (proxyCommand !== undefined) return writeCommand(proxyCommand)
  const [, user, inside, plain, port = '22'] =
    /^(?:([^,]*)@)?(?:\[([^\],]*)\]|([^,:]*))(?::(\d+))?$/.exec(jump ?? '') ?? []
  const host = inside ?? plain
  if (!host) return undefined
  return new Map<string, string | number>([
    ['ProxyMethod', methods.indexOf('ssh')],
    ['ProxyHost', host],
    ['ProxyPort', Number(port)],
    ['ProxyUsername', user ?? ''],
  ])
}

function writeCommand(command: string): Map<string, string | number> | undefined {
  if (/%(?![hp%])/.test(command.replaceAll('%%', ''))) return undefined
  const text = command.replace(/%([hp%])|\\/g, (found, token: string | undefined) => {
    return token === undefined ? '\\\\' : ({ h: '%host', p: '%port' }[token] ?? found)
  })
  return new Map<string, string | number>([
    ['ProxyMethod', methods.indexOf('command')],
    ['ProxyTelnetCommand', text],
  ])
}
