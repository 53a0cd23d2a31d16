/**
 * What went wrong, in the words the whole program shares. Only `cli` turns a code into an exit status.
 *
 * - `usage` the call itself is off; `not-found` a thing named is not there
 * - `refused` a policy, a lock or the user said no; `exists` something would be overwritten
 * - `secret-needed` / `secret-wrong` a passphrase or password is missing / does not fit
 * - `damaged` bytes contradict their format; `unsupported` they are fine, but nothing here reads them
 * - `unreachable` network, server or agent; `host-key-unknown` / `host-key-changed` the server is not proved
 * - `cancelled` Ctrl-C at a prompt; `failed` anything else
 */
export type ErrorCode =
  | 'failed'
  | 'usage'
  | 'not-found'
  | 'refused'
  | 'exists'
  | 'secret-needed'
  | 'secret-wrong'
  | 'damaged'
  | 'unsupported'
  | 'unreachable'
  | 'host-key-unknown'
  | 'host-key-changed'
  | 'cancelled'

export interface ErrorDetails {
  /** What stands and why: the second line of an error. */
  readonly reason?: string
  /** What to do next, ideally something to type. */
  readonly hint?: string
  /** What was caught, when this error retells another. */
  readonly cause?: unknown
  /** Where in the bytes being read, counted from 0. */
  readonly offset?: number
}

/** The one error class of all packages. Its text never holds a secret. */
export class KeytoolError extends Error {
  override readonly name = 'KeytoolError'
  readonly code: ErrorCode
  readonly reason: string | undefined
  readonly hint: string | undefined
  readonly offset: number | undefined

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.reason = details.reason
    this.hint = details.hint
    this.offset = details.offset
  }
}

/** True for a {@link KeytoolError}, of this copy of the package or of another. */
export function isKeytoolError(value: unknown): value is KeytoolError {
  return value instanceof Error && value.name === 'KeytoolError' && 'code' in value
}

/** `damaged`, with the place: how every reader says where bytes contradict their format. */
export function damagedAt(message: string, offset: number, cause?: unknown): KeytoolError {
  return new KeytoolError('damaged', `${message} (at byte ${offset})`, { offset, cause })
}
