import type { Phase } from './trouble.js'

const USERAUTH_SUCCESS = 52

/**
 * The first message number that may not come yet (RFC 4250 section 4.1.2): nothing of a login before the host has proved its
 * key and both sides have new keys, nothing of channels before the login.
 */
const tooEarly: Readonly<Record<Phase, number>> = { hello: 50, handshake: 50, login: 80, ready: 256 }

/**
 * Whether a server is ahead of us. The engine reads on once the server's own keys are new: one that lets the user in there
 * and then would have the rest in the clear, and its host key never looked at.
 * @param hasAsked whether anything was asked of the server in the login
 */
export function isBeforeItsTurn(message: number | undefined, phase: Phase, hasAsked: boolean): boolean {
  if (message === undefined) return true
  return message >= tooEarly[phase] || (message === USERAUTH_SUCCESS && !hasAsked)
}
