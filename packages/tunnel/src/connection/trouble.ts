import { type ErrorCode, KeytoolError, showForeign } from '@keytool/keygen'

/** How far the connection had come. */
export type Phase = 'hello' | 'handshake' | 'login' | 'ready'

/** An error as ssh2 gives it: `level` says where it arose, `code` is a system's code or the reason of SSH_MSG_DISCONNECT. */
export interface EngineError {
  readonly message: string
  readonly level?: string
  readonly code?: unknown
}

/** Retells an engine's error in the program's words. `place` is `host:port`, ready to be shown. */
export function explainTrouble(error: EngineError, phase: Phase, place: string): KeytoolError {
  const reason = showForeign(error.message)
  const details = { reason, cause: error }
  if (error.level === 'client-socket')
    return new KeytoolError('unreachable', `the connection to ${place} broke`, details)
  if (error.level === 'client-timeout') {
    return new KeytoolError('unreachable', `${place} no longer answers`, { cause: error })
  }
  if (typeof error.code === 'number') {
    // RFC 4253 section 11.1: the server ended it and says why. During the login that is an answer to what was offered.
    return new KeytoolError(
      phase === 'login' ? 'secret-wrong' : 'unreachable',
      `${place} ended the connection`,
      details,
    )
  }
  if (phase === 'hello') return noSsh(place, error)
  if (/no matching/i.test(error.message)) {
    return new KeytoolError('unsupported', `${place} and this program have no algorithm in common`, details)
  }
  return new KeytoolError('damaged', `${place} breaks the SSH protocol`, details)
}

export function noSsh(place: string, cause?: unknown): KeytoolError {
  return new KeytoolError('damaged', `what answers at ${place} does not speak SSH`, { cause })
}

/** What the engine puts before the server's own words. */
const OPENING = /^\(SSH\) Channel open failure: /

/** What the reasons of CHANNEL_OPEN_FAILURE mean (RFC 4254 section 5.1); the others are lack of means. */
const refusals: ReadonlyMap<unknown, { code: ErrorCode; text: string }> = new Map([
  [1, { code: 'refused', text: 'does not allow' }],
  [2, { code: 'unreachable', text: "can't reach" }],
])

/** The channel was opened, but the server answered CHANNEL_FAILURE to what it was for: the engine gives no reason. */
const notGranted = { code: 'refused', text: 'does not give' } as const

/** Retells why a channel was not opened. `what` is the target, ready to be shown. */
export function explainRefusal(error: Error & { reason?: unknown }, what: string): KeytoolError {
  const { code, text } =
    error.reason === undefined ? notGranted : (refusals.get(error.reason) ?? { code: 'failed', text: 'does not open' })
  return new KeytoolError(code, `the server ${text} ${what}`, {
    reason: showForeign(error.message.replace(OPENING, '')),
    cause: error,
  })
}
