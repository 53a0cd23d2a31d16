import { isDeepStrictEqual } from 'node:util'
import { findCharset } from '../charset/charset.js'
import { type ForwardKind, formatForward, parseForward } from '../forwards/spec.js'
import type { Session } from './schema.js'

/** Whether two sessions mean the same, however they are written: spelling and order of forwards, names of a charset. */
export function isSameSession(one: Session, other: Session): boolean {
  return isDeepStrictEqual(normalize(one), normalize(other))
}

function normalize(session: Session): unknown {
  const { forwards, charset, host, jump, weak, forwardAgent, ...others } = session
  const list = (kind: ForwardKind) => forwards[kind].map(text => formatForward(parseForward(kind, text))).sort()
  return {
    ...others,
    host: host.toLowerCase(),
    charset: charset === undefined ? undefined : findCharset(charset).name,
    jump: jump?.replace(/:22(?=,|$)/g, ''),
    weak: weak?.length ? weak : undefined,
    forwardAgent: forwardAgent === true,
    forwards: { local: list('local'), remote: list('remote'), dynamic: list('dynamic') },
  }
}
