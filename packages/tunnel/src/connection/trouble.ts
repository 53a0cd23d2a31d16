import { type ErrorCode, KeytoolError, showForeign } from '@keytool/keygen'

/** How far the connection had come. */
export type Phase = 'hello' | 'handshake' | 'login' | 'ready'

/** An error as ssh2 gives it: `level` says where it arose, `code` is a system's code or the reason of SSH_MSG_DISCONNECT. */
export interface EngineError {
  readonly message: string
  readonly level?: string
  readonly code?: unknown
}

/** sshd's farewell at MaxAuthTries: it counts each key that is offered. */
const TOO_MANY = /too many authentication failures/i

/** What the engine calls an end of the connection before the greeting was whole. */
const CLOSED = /lost before handshake/i

/**
 * Retells an engine's error in the program's words.
 * @param place `host:port`, ready to be shown
 * @param heard the first words of whoever answers, as Latin-1
 */
export function explainTrouble(error: EngineError, phase: Phase, place: string, heard = ''): KeytoolError {
  const reason = showForeign(error.message)
  const details = { reason, cause: error }
  if (error.level === 'client-socket')
    return new KeytoolError('unreachable', `the connection to ${place} broke`, details)
  if (error.level === 'client-timeout') {
    return new KeytoolError('unreachable', `${place} no longer answers`, { cause: error })
  }
  if (typeof error.code === 'number') {
    // RFC 4253 section 11.1: the server ended it and says why. During the login that is an answer to what was offered.
    const message = `${place} ended the connection`
    if (phase !== 'login') return new KeytoolError('unreachable', message, details)
    const hint = TOO_MANY.test(error.message) ? { hint: 'name the key that is meant: -i KEY' } : {}
    return new KeytoolError('secret-wrong', message, { ...details, ...hint })
  }
  if (phase === 'hello') {
    const other = explainGreeting(place, heard, error)
    if (other) return other
    if (CLOSED.test(error.message)) return new KeytoolError('unreachable', `${place} closed the connection`, details)
  }
  if (/no matching/i.test(error.message)) {
    return new KeytoolError('unsupported', `${place} and this program have no algorithm in common`, details)
  }
  return new KeytoolError('damaged', `${place} breaks the SSH protocol`, details)
}

/** sshd's words in place of its identification: for MaxStartups, and for PerSourcePenalties since OpenSSH 9.8. */
const TURNED_AWAY: readonly (readonly [words: RegExp, reason: string])[] = [
  [/^Exceeded MaxStartups/, 'too many others are logging in at this moment (MaxStartups)'],
  [/^Not allowed at this time/, 'it has seen too many logins fail from this address (PerSourcePenalties)'],
]

/**
 * What is wrong with the first words of whoever answers.
 * @param heard as Latin-1
 * @returns `undefined` when there are none, or they may be the beginning of SSH's
 */
export function explainGreeting(place: string, heard: string, cause?: unknown): KeytoolError | undefined {
  const [line = '', ...more] = heard.split(/\r?\n/)
  const busy = TURNED_AWAY.find(([words]) => words.test(line))
  if (busy) {
    return new KeytoolError('unreachable', `${place} turns connections away`, {
      ...{ reason: busy[1], hint: 'try again in a while', cause },
    })
  }
  const isBeginning = more.length === 0 && ('SSH-2.0-'.startsWith(line) || line.startsWith('SSH-2.0-'))
  if (isBeginning) return undefined
  const says = showForeign(line.trim(), 80)
  return new KeytoolError('damaged', `what answers at ${place} does not speak SSH`, {
    ...(says !== '' && { reason: `it says ${says}` }),
    cause,
  })
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
