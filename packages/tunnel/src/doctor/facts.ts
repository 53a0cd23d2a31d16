import type { KeytoolError } from '@keytool/keygen'

/** Errors are retold a few times on their way up; what lies deeper is no retelling of this. */
const MAX_DEPTH = 8

/** Each error that this one retells, itself first: what was first known of it lies at the end. */
function retold(error: KeytoolError): object[] {
  const found: object[] = []
  for (let each: unknown = error; typeof each === 'object' && each !== null && found.length < MAX_DEPTH; ) {
    found.push(each)
    each = 'cause' in each ? each.cause : undefined
  }
  return found
}

/** The system's own word for it, such as `ECONNREFUSED`; ours are in small letters. */
export function systemCodeOf(error: KeytoolError): string | undefined {
  return retold(error)
    .map(each => ('code' in each ? each.code : undefined))
    .find((code): code is string => typeof code === 'string' && /^E[A-Z_]+$/.test(code))
}

/** The server's words with SSH_MSG_DISCONNECT (RFC 4253 section 11.1), where it said any: foreign text. */
export function farewellOf(error: KeytoolError): string | undefined {
  const farewell = retold(error).find(each => 'code' in each && typeof each.code === 'number')
  return farewell && textOf(farewell)
}

/** Why a server opened no channel (RFC 4254 section 5.1): its number, and its words, which are foreign text. */
export function channelRefusalOf(error: KeytoolError): { readonly reason: number; readonly text: string } | undefined {
  for (const each of retold(error)) {
    if ('reason' in each && typeof each.reason === 'number') return { reason: each.reason, text: textOf(each) }
  }
  return undefined
}

function textOf(error: object): string {
  return 'message' in error && typeof error.message === 'string' ? error.message : ''
}
