import { KeytoolError } from '@keytool/keygen'
import type { KeyState } from './agent.js'
import type { Destination } from './terms.js'

/** How one key is held, as `list@keytool` carries it in JSON. */
export interface KeyReport {
  /** Base64. */
  readonly blob: string
  readonly state: 'sealed' | 'open'
  /** `file`: its encrypted file is held, too. */
  readonly origin: 'file' | 'added' | 'upstream'
  /** Seconds it was added for; null: for good. */
  readonly lifetime: number | null
  /** Seconds of that which are left. */
  readonly left: number | null
  /** Seconds without use after which it is sealed. */
  readonly idle: number | null
  readonly confirm: boolean
  /** `git@github.com`, `a.example>b.example`. */
  readonly destinations: readonly string[]
  readonly remembered: boolean
  readonly file: string | null
}

/** One key in the order for a host, as `list-for@keytool` carries it. */
export interface OrderReport {
  readonly fingerprint: string
  readonly comment: string
  /** Why it stands there: `it got in last time`; null: because it was added then. */
  readonly why: string | null
}

/** What `status@keytool` says. Members beside these may be there. */
export interface StatusReport {
  readonly version?: string
  readonly pid?: number
  readonly since?: string
  readonly locked: boolean
  readonly keys: { readonly sealed: number; readonly open: number }
  readonly [fact: string]: unknown
}

export function reportOf({ identity, terms, origin, isOpen, left, file }: KeyState): KeyReport {
  return {
    blob: identity.blob.toString('base64'),
    state: isOpen ? 'open' : 'sealed',
    origin,
    lifetime: terms.lifetime ?? null,
    left: left === undefined ? null : Math.ceil(left),
    idle: terms.idle ?? null,
    confirm: terms.confirm ?? false,
    destinations: (terms.destinations ?? []).map(showDestination),
    remembered: false,
    file: file ?? null,
  }
}

/** As `ssh-add -h` takes it. */
export function showDestination({ from, to }: Destination): string {
  const target = to.user === '' ? to.host : `${to.user}@${to.host}`
  return from.host === '' ? target : `${from.host}>${target}`
}

/**
 * What our own extensions answer, read from JSON. It comes from an agent that says it is ours, so its shape is taken
 * from there, once it is the kind of value that was asked for.
 * @throws KeytoolError `damaged`
 */
export function readReport<T extends object>(text: string, isRight: (value: unknown) => boolean): T {
  try {
    const value: unknown = JSON.parse(text)
    if (isRight(value)) return value as T
  } catch (cause) {
    throw new KeytoolError('damaged', "the agent's answer can't be read", { cause })
  }
  throw new KeytoolError('damaged', "the agent's answer is not what was asked for")
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

export function isStatus(value: unknown): boolean {
  return isObject(value) && typeof value['locked'] === 'boolean' && isObject(value['keys'])
}

export function areKeyReports(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every(
      each =>
        isObject(each) &&
        typeof each['blob'] === 'string' &&
        (each['state'] === 'open' || each['state'] === 'sealed') &&
        typeof each['confirm'] === 'boolean' &&
        ['left', 'idle', 'lifetime'].every(name => each[name] === null || typeof each[name] === 'number') &&
        Array.isArray(each['destinations']) &&
        each['destinations'].every(text => typeof text === 'string'),
    )
  )
}

export function areOrderReports(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every(
      each =>
        isObject(each) &&
        typeof each['fingerprint'] === 'string' &&
        typeof each['comment'] === 'string' &&
        (each['why'] === null || typeof each['why'] === 'string'),
    )
  )
}
