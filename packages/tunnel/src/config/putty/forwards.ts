import { isIPv4, isIPv6 } from 'node:net'
import { isKeytoolError } from '@keytool/keygen'
import { type ForwardKind, type ForwardSpec, formatForward, parseForward } from '../../forwards/spec.js'
import type { Session } from '../../sessions/schema.js'

type Forwards = { readonly [kind in ForwardKind]: string[] }

const kinds: Readonly<Record<string, ForwardKind>> = { L: 'local', R: 'remote', D: 'dynamic' }
const letters: Readonly<Record<ForwardKind, string>> = { local: 'L', remote: 'R', dynamic: 'D' }

/**
 * Reads PuTTY's `PortForwardings`: `L1110=host:110,R8080=localhost:80,D1080=`, a backslash before what separates, `4` or `6` in
 * front for one family of addresses, a bind address before the port.
 * @returns the forwards in ssh's notation, and those that can't be carried, as they stood there: foreign text
 */
export function readPortForwardings(text: string): { readonly forwards: Forwards; readonly bad: readonly string[] } {
  const forwards: Forwards = { local: [], remote: [], dynamic: [] }
  const bad: string[] = []
  for (const [key, value] of splitMap(text)) {
    const [, family, letter = 'L', source = ''] = /^([A46]?)([LRD]?)(.*)$/s.exec(key) ?? []
    const kind = kinds[letter === '' ? 'L' : letter] ?? 'local'
    try {
      const spec = parseForward(kind, [withFamily(source, family), ...(kind === 'dynamic' ? [] : [value])].join(':'))
      forwards[kind].push(formatForward(spec))
    } catch (error) {
      if (!isKeytoolError(error)) throw error
      bad.push(value === '' ? key : `${key}=${value}`)
    }
  }
  return { forwards, bad }
}

/** A local address in numbers of one family goes before the family's letter; without one the letter is loopback of it. */
function withFamily(source: string, family: string | undefined): string {
  return family === '6' && /^\d+$/.test(source) ? `[::1]:${source}` : source
}

/** The forwards of a session that PuTTY can hold, as its setting, and the others. */
export function writePortForwardings({ forwards }: Session): { readonly text: string; readonly others: string[] } {
  const held: string[] = []
  const others: string[] = []
  for (const kind of Object.values(kinds)) {
    for (const text of forwards[kind]) {
      const spec = parseForward(kind, text)
      const pair = pairOf(spec)
      if (pair) held.push(pair.map(escapePart).join('='))
      else others.push(`${letters[kind]}${formatForward(spec)}`)
    }
  }
  return { text: held.join(','), others }
}

/** PuTTY knows no Unix sockets, no port chosen by the system, no `*`, and no SOCKS on the far side. */
function pairOf(spec: ForwardSpec): [key: string, value: string] | undefined {
  const { kind, listen } = spec
  if ('path' in listen || listen.port === 0 || listen.bind === '*') return undefined
  const letter = letters[kind]
  // A D anywhere in the key makes PuTTY take the forward for a dynamic one.
  const bind = listen.bind?.toLowerCase()
  if (bind !== undefined && !(isIPv4(bind) || isIPv6(bind) || /^[\w.-]+$/.test(bind))) return undefined
  const key = `${letter}${bind === undefined ? '' : `${isIPv6(bind) ? `[${bind}]` : bind}:`}${listen.port}`
  if (kind === 'dynamic') return [key, '']
  const { to } = spec
  if (to === undefined || 'path' in to) return undefined
  return [key, `${isIPv6(to.host) ? `[${to.host}]` : to.host}:${to.port}`]
}

/** The forwards that only this program reads back, `L…` or `R…` each. */
export function readOthers(text: string): Forwards & { readonly bad: readonly string[] } {
  const forwards: Forwards = { local: [], remote: [], dynamic: [] }
  const bad: string[] = []
  for (const [item] of splitMap(text)) {
    const kind = kinds[item.slice(0, 1)]
    try {
      if (kind) forwards[kind].push(formatForward(parseForward(kind, item.slice(1))))
      else bad.push(item)
    } catch (error) {
      if (!isKeytoolError(error)) throw error
      bad.push(item)
    }
  }
  return { ...forwards, bad }
}

/** A list of these for one setting. */
export function writeOthers(others: readonly string[]): string {
  return others.map(escapePart).join(',')
}

/** PuTTY's way to keep several pairs in one text. Without `=` the value is empty. */
function splitMap(text: string): [key: string, value: string][] {
  const pairs: [string, string][] = []
  let parts = ['', '']
  let part = 0
  const end = () => {
    if (parts.join('') !== '') pairs.push([parts[0] ?? '', parts[1] ?? ''])
    parts = ['', '']
    part = 0
  }
  for (const [piece = '', escaped] of text.matchAll(/\\([\s\S])|[^\\,=]+|[\s\S]/g)) {
    if (piece === ',') end()
    else if (piece === '=' && part === 0) part = 1
    else parts[part] += escaped ?? piece
  }
  end()
  return pairs
}

function escapePart(text: string): string {
  return text.replace(/[\\=,]/g, '\\$&')
}
