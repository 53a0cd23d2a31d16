import type { Environment } from '@keytool/agent/platform'
import { isKeytoolError } from '@keytool/keygen'
import {
  type ForwardKind,
  type ForwardSpec,
  formatForward,
  type ListenPlace,
  parseForward,
  type TargetPlace,
} from '../../forwards/spec.js'
import type { SaidForward } from './draft.js'
import type { Line } from './line.js'
import { failAt } from './place.js'
import { expand, type Tokens } from './tokens.js'

/** A part between colons. It is a path when there is a slash in it, wherever. */
interface Part {
  readonly text: string
  readonly isPath: boolean
}

const IN_BRACKETS = /^\[([^\]]*)\](?=:|$)/
const PLAIN = /^(?:\\.|[^\\:])*(?=:|$)/s

/**
 * LocalForward, RemoteForward or DynamicForward: as on ssh's command line, with a blank between where is listened and
 * the target, and variables anywhere. A RemoteForward without a target speaks SOCKS.
 * @throws KeytoolError
 */
export function readForward(kind: ForwardKind, line: Line, env: Environment): SaidForward {
  const { words, place } = line
  const first = words.need()
  const second = kind === 'dynamic' ? undefined : words.take()
  if (kind === 'local' && !second) throw words.fail('the target is missing')
  const text = second ? `${first}:${second}` : first
  try {
    const parts = splitParts(expand(text, { env }).trimStart())
    const spec = readSpec(kind, parts, kind === 'dynamic' || !second)
    return { spec, said: { text, place } }
  } catch (cause) {
    if (cause instanceof SyntaxError) throw words.fail(cause.message)
    throw cause
  }
}

/** The same with tokens put into its paths, in the notation of `-L`, `-R`, `-D`. */
export function finishForward({ spec, said }: SaidForward, tokens: Tokens): string {
  const finish = <P extends ListenPlace | TargetPlace>(place: P): P =>
    'path' in place ? { ...place, path: expand(place.path, { tokens }) } : place
  try {
    const { kind, listen } = spec
    const to = 'to' in spec ? spec.to : undefined
    const done = { kind, listen: finish(listen), ...(to && { to: finish(to) }) } as ForwardSpec
    const text = formatForward(done)
    parseForward(kind, text)
    return text
  } catch (cause) {
    if (!(cause instanceof SyntaxError || isKeytoolError(cause))) throw cause
    const why = isKeytoolError(cause) ? `${cause.message}: ${cause.reason}` : cause.message
    throw failAt(said.place, why)
  }
}

/** As OpenSSH's `parse_fwd_field`: anything may stand in brackets, a backslash keeps the next character. */
function splitParts(text: string): Part[] {
  const parts: Part[] = []
  for (let rest = text; rest !== ''; ) {
    const [whole, inside] = IN_BRACKETS.exec(rest) ?? (rest.startsWith('[') ? [] : (PLAIN.exec(rest) ?? []))
    if (whole === undefined) throw new SyntaxError('the brackets or backslashes do not fit')
    const part = inside ?? whole.replace(/\\(.)/gs, '$1')
    parts.push({ text: part, isPath: part.includes('/') })
    rest = rest.slice(whole.length + 1)
  }
  return parts
}

function readSpec(kind: ForwardKind, parts: readonly Part[], isSocks: boolean): ForwardSpec {
  if (isSocks) {
    if (kind === 'local') throw new SyntaxError('the target is missing')
    return { kind, listen: readListen(parts, kind === 'remote') }
  }
  if (kind === 'dynamic') throw new SyntaxError('that is no place to listen')
  const away = parts.at(-1)?.isPath ? 1 : 2
  const listen = readListen(parts.slice(0, -away), kind === 'remote')
  const [host, port] = parts.slice(-away)
  if (host === undefined) throw new SyntaxError('the target is missing')
  if (port === undefined) return { kind, listen, to: { path: host.text } }
  if (host.isPath || host.text === '') throw new SyntaxError('the host of the target is missing')
  return { kind, listen, to: { host: host.text, port: readPort(port, 1) } }
}

function readListen(parts: readonly Part[], mayChoose: boolean): ListenPlace {
  const [first, second] = parts
  if (first === undefined || parts.length > 2) throw new SyntaxError('that is no place to listen')
  const least = mayChoose ? 0 : 1
  if (second === undefined) return first.isPath ? { path: first.text } : { port: readPort(first, least) }
  if (first.isPath) throw new SyntaxError('that is no place to listen')
  return { bind: first.text === '' ? '*' : first.text, port: readPort(second, least) }
}

function readPort({ text }: Part, least: number): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (port >= least && port <= 65535) return port
  throw new SyntaxError(`a port is a number from ${least} to 65535`)
}
