import { isKeytoolError } from '@keytool/keygen'

/** How a request was answered. */
export type Outcome =
  | 'granted'
  | 'failed'
  | 'not-allowed'
  | 'no-network'
  | 'no-host'
  | 'refused'
  | 'no-command'
  | 'no-address-type'

/** SOCKS 5's reply codes (RFC 1928 section 6). */
const codes: Readonly<Record<Outcome, number>> = {
  granted: 0,
  failed: 1,
  'not-allowed': 2,
  'no-network': 3,
  'no-host': 4,
  refused: 5,
  'no-command': 7,
  'no-address-type': 8,
}

/** The address bound at the far end is not known here: OpenSSH says 0.0.0.0:0, too. */
const NO_ADDRESS = [1, 0, 0, 0, 0, 0, 0]

/** The reply to a request, RFC 1928 section 6; SOCKS 4 knows granted (90) and rejected or failed (91) alone. */
export const writeReply: Readonly<Record<4 | 5, (outcome: Outcome) => Buffer>> = {
  4: outcome => Buffer.of(0, outcome === 'granted' ? 90 : 91, 0, 0, 0, 0, 0, 0),
  5: outcome => Buffer.of(5, codes[outcome], 0, ...NO_ADDRESS),
}

/** What the system's codes come to, when it is dialled here. */
const system: Readonly<Record<string, Outcome>> = {
  ECONNREFUSED: 'refused',
  ENETUNREACH: 'no-network',
  EHOSTUNREACH: 'no-host',
  ENOTFOUND: 'no-host',
  EAI_AGAIN: 'no-host',
  ETIMEDOUT: 'no-host',
}

/** What servers write beside SSH_OPEN_CONNECT_FAILED: the words of strerror and getaddrinfo. */
const words: readonly (readonly [RegExp, Outcome])[] = [
  [/refused/i, 'refused'],
  [/network.*unreachable/i, 'no-network'],
  [/no route|host.*unreachable|unreachable host|timed out|timeout|name|resol|address/i, 'no-host'],
]

/** What whoever asked is told when its target could not be reached. */
export function outcomeOf(error: unknown): Outcome {
  if (!isKeytoolError(error)) return 'failed'
  if (error.code === 'refused') return 'not-allowed'
  if (error.code !== 'unreachable') return 'failed'
  const { code } = (error.cause ?? {}) as { code?: unknown }
  if (typeof code === 'string' && Object.hasOwn(system, code)) return system[code] ?? 'failed'
  return words.find(([pattern]) => pattern.test(error.reason ?? ''))?.[1] ?? 'no-host'
}
