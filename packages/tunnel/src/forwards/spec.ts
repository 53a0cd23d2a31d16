import { KeytoolError, showForeign } from '@keytool/keygen'
import { checkHostField, type Field, readPathField, readPortField, splitFields } from './fields.js'

/**
 * Where is listened. `bind`: the address, `undefined` is loopback only, `*` every address; `port`: 0 to 65535, 0 lets the
 * system (or the server) choose. Or the path of a Unix socket.
 */
export type ListenPlace = { readonly bind?: string; readonly port: number } | { readonly path: string }

/** Where a connection is carried to, as the end that dials sees it. `port`: 1 to 65535. */
export type TargetPlace = { readonly host: string; readonly port: number } | { readonly path: string }

/** One forward, as it was asked for. */
export type ForwardSpec =
  /** Listens here; the server dials. */
  | { readonly kind: 'local'; readonly listen: ListenPlace; readonly to: TargetPlace }
  /** The server listens; dialled here. Without `to` the far side speaks SOCKS, as with `ssh -R port`. */
  | { readonly kind: 'remote'; readonly listen: ListenPlace; readonly to?: TargetPlace }
  /** Listens here and speaks SOCKS; the server dials. */
  | { readonly kind: 'dynamic'; readonly listen: ListenPlace }

export type ForwardKind = ForwardSpec['kind']
/** The forwards of one kind. */
export type ForwardOf<K extends ForwardKind> = Extract<ForwardSpec, { kind: K }>

interface Grammar {
  readonly option: string
  readonly form: string
  readonly example: string
  readonly target: 'needed' | 'optional' | 'none'
}

/** One row a kind. */
const grammars: Readonly<Record<ForwardKind, Grammar>> = {
  local: { option: '-L', form: '[bind:]port:host:hostport', example: '-L 1110:mail.example:110', target: 'needed' },
  remote: { option: '-R', form: '[bind:]port:host:hostport', example: '-R 8080:localhost:80', target: 'optional' },
  dynamic: { option: '-D', form: '[bind:]port', example: '-D 1080', target: 'none' },
}

/**
 * Reads what ssh's `-L`, `-R` and `-D` take: `[bind:]port:host:hostport`, IPv6 addresses in brackets, a Unix socket's path
 * in place of `[bind:]port` or `host:hostport` (`\:` is a colon in it); `-D`, and `-R` if the far side is to speak SOCKS,
 * without a target. An empty bind address or `*` is every address; leaving it out is loopback only.
 * @throws KeytoolError `usage`; also for a path that is not absolute: who knows the home expands `~/` before
 */
export function parseForward<K extends ForwardKind>(kind: K, text: string): ForwardOf<K>
export function parseForward(kind: ForwardKind, text: string): ForwardSpec {
  const { option, form, example, target } = grammars[kind]
  try {
    const fields = splitFields(text)
    const away = target === 'none' || (target === 'optional' && isListenOnly(fields)) ? 0 : targetLength(fields)
    const listen = readListen(fields.slice(0, fields.length - away), form)
    if (kind === 'dynamic' || (kind === 'remote' && away === 0)) return { kind, listen }
    return { kind, listen, to: readTarget(fields.slice(fields.length - away), form) }
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw new KeytoolError('usage', `${option} ${showForeign(text)} can't be used`, {
      reason: cause.message,
      hint: `such as: ${example}`,
    })
  }
}

/** The same forward as text, without its option; {@link parseForward} reads it back. */
export function formatForward(spec: ForwardSpec): string {
  const { listen } = spec
  const bind = 'path' in listen || listen.bind === undefined ? '' : `${inBrackets(listen.bind)}:`
  const from = 'path' in listen ? escapePath(listen.path) : `${bind}${listen.port}`
  if (!('to' in spec) || spec.to === undefined) return from
  const { to } = spec
  return `${from}:${'path' in to ? escapePath(to.path) : formatPlace(to.host, to.port)}`
}

/** The option a forward is given with: `-L`, `-R`, `-D`. */
export function forwardOption(kind: ForwardKind): string {
  return grammars[kind].option
}

/** `host:port`, an IPv6 address in brackets. */
export function formatPlace(host: string, port: number): string {
  return `${inBrackets(host)}:${port}`
}

/** Where a forward leads, as it may be shown: `host:port`, a path, or `SOCKS` when whoever comes in says so. */
export function formatTarget(spec: ForwardSpec): string {
  const to = 'to' in spec ? spec.to : undefined
  if (to === undefined) return 'SOCKS'
  return 'path' in to ? to.path : formatPlace(to.host, to.port)
}

/** Where a forward listens, as it may be shown; with the port that was chosen, where there is one. */
export function formatListen({ kind, listen }: ForwardSpec, chosen?: number): string {
  if ('path' in listen) return listen.path
  const host = kind === 'remote' ? (listen.bind ?? 'localhost') : (addressToBind(listen) ?? '*')
  return formatPlace(host, chosen ?? listen.port)
}

/** The address to listen on here; `undefined` for all of them. */
export function addressToBind({ bind }: { readonly bind?: string }): string | undefined {
  if (bind === undefined || bind === 'localhost') return '127.0.0.1'
  return bind === '*' ? undefined : bind
}

/** What the server is asked to listen on (RFC 4254 section 7.1): empty is every address. */
export function hostToAsk({ bind }: { readonly bind?: string }): string {
  return bind === '*' ? '' : (bind ?? 'localhost')
}

/**
 * True when others than the listening machine may come in: worth a line of warning. For a remote forward it is what is
 * asked for; the server decides (OpenSSH's GatewayPorts).
 */
export function isOpenToOthers({ listen }: ForwardSpec): boolean {
  if ('path' in listen) return false
  const address = addressToBind(listen)
  return address === undefined || !(address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address))
}

/** `port` or `bind:port` alone, or one path: then nothing is left for a target. */
function isListenOnly(fields: readonly Field[]): boolean {
  return fields.length === 1 || (fields.length === 2 && fields[1]?.form !== 'path')
}

/** How many fields at the end are the target. */
function targetLength(fields: readonly Field[]): number {
  return fields.at(-1)?.form === 'path' ? 1 : 2
}

function readListen(fields: readonly Field[], form: string): ListenPlace {
  const [first, second] = fields
  if (first === undefined || fields.length > 2) throw new SyntaxError(`it is written ${form}`)
  if (second === undefined) {
    return first.form === 'path' ? { path: readPathField(first) } : { port: readPortField(first, 0) }
  }
  if (first.form === 'path') throw new SyntaxError(`it is written ${form}`)
  if (first.text === '' || first.text === '*') return { bind: '*', port: readPortField(second, 0) }
  return { bind: checkHostField(first), port: readPortField(second, 0) }
}

function readTarget(fields: readonly Field[], form: string): TargetPlace {
  const [first, second] = fields
  if (first === undefined) throw new SyntaxError(`it is written ${form}`)
  if (second === undefined) return { path: readPathField(first) }
  return { host: checkHostField(first), port: readPortField(second, 1) }
}

function escapePath(path: string): string {
  return path.replace(/[\\:]/g, '\\$&')
}

function inBrackets(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
