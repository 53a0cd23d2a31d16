import { isIPv6 } from 'node:net'
import { isPlain, KeytoolError, showForeign } from '@keytool/keygen'

/** A local forward: listen here, carry to `to` as the server sees it. */
export interface LocalForwardSpec {
  readonly kind: 'local'
  /** Address to listen on: `undefined` is 127.0.0.1, `*` every address of this machine. */
  readonly bind?: string
  /** 0 to 65535; 0 lets the system choose. */
  readonly port: number
  readonly to: { readonly host: string; readonly port: number }
}

export type ForwardKind = 'local' | 'remote' | 'dynamic'

const options: Readonly<Record<ForwardKind, string>> = { local: '-L', remote: '-R', dynamic: '-D' }

/**
 * Reads what ssh's `-L` takes: `[bind:]port:host:hostport`, IPv6 addresses in brackets. An empty bind address or `*`
 * is every address; leaving it out is loopback only.
 * @throws KeytoolError `usage`; also for Unix sockets, `-R` and `-D`, which are not carried yet
 */
export function parseForward(kind: ForwardKind, text: string): LocalForwardSpec {
  const option = options[kind]
  if (kind !== 'local') throw bad(option, text, `${option} is not carried yet`)
  if (text.includes('/')) throw bad(option, text, 'Unix sockets are not carried yet')
  const fields = splitFields(option, text)
  if (fields.length < 3 || fields.length > 4) throw bad(option, text, 'it is written [bind:]port:host:hostport')
  const [hostPort = '', host = '', port = '', bind] = fields.reverse()
  checkHost(option, text, host)
  const to = { host, port: readPort(option, text, hostPort, 1) }
  const spec = { kind, port: readPort(option, text, port, 0), to } as const
  if (bind === undefined) return spec
  if (bind !== '' && bind !== '*') checkHost(option, text, bind)
  return { ...spec, bind: bind === '' ? '*' : bind }
}

/** The same forward as text; {@link parseForward} reads it back. */
export function formatForward(spec: LocalForwardSpec): string {
  const bind = spec.bind === undefined ? '' : `${inBrackets(spec.bind)}:`
  return `${bind}${spec.port}:${inBrackets(spec.to.host)}:${spec.to.port}`
}

/** `host:port`, an IPv6 address in brackets. */
export function formatPlace(host: string, port: number): string {
  return `${inBrackets(host)}:${port}`
}

/** The address to listen on; `undefined` for all of them. */
export function addressToBind(spec: LocalForwardSpec): string | undefined {
  if (spec.bind === undefined || spec.bind === 'localhost') return '127.0.0.1'
  return spec.bind === '*' ? undefined : spec.bind
}

/** True when others than this machine may come in: worth a line of warning. */
export function isOpenToOthers(spec: LocalForwardSpec): boolean {
  const address = addressToBind(spec)
  return address === undefined || !(address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address))
}

function splitFields(option: string, text: string): string[] {
  const fields: string[] = []
  let rest = text
  for (;;) {
    const [whole, inside, plain] = /^(?:\[([^\][]*)\]|([^:\][]*))(?=:|$)/.exec(rest) ?? []
    if (whole === undefined) throw bad(option, text, 'the brackets do not fit')
    if (inside !== undefined && !isIPv6(inside)) throw bad(option, text, 'only an IPv6 address stands in brackets')
    fields.push(inside ?? plain ?? '')
    if (whole.length === rest.length) return fields
    rest = rest.slice(whole.length + 1)
  }
}

function checkHost(option: string, text: string, host: string): void {
  if (host === '') throw bad(option, text, 'the host is missing')
  if (host.startsWith('-')) throw bad(option, text, 'a host does not begin with -')
  if (host.length > 255 || !isPlain(host) || !/^[^\s,*?!@'"`\\$;|&<>(){}]+$/.test(host)) {
    throw bad(option, text, 'that is no name of a host')
  }
}

function readPort(option: string, text: string, word: string, least: number): number {
  const port = /^\d{1,5}$/.test(word) ? Number(word) : Number.NaN
  if (port >= least && port <= 65535) return port
  throw bad(option, text, `a port is a number from ${least} to 65535`)
}

function bad(option: string, text: string, reason: string): KeytoolError {
  return new KeytoolError('usage', `${option} ${showForeign(text)} can't be used`, {
    reason,
    hint: 'such as: -L 1110:mail.example:110',
  })
}

function inBrackets(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
