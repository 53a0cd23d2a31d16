import { fingerprint, KeytoolError, type PublicKey, showForeign } from '@keytool/keygen'
import type { Purpose } from '../purpose.js'
import type { Binding, Bound } from '../who.js'
import type { QuickGate, Use } from './gate.js'
import { hostOf, permitsStep, type Rules } from './session.js'

export interface DestinationsOptions {
  /** The time, which host certificates have to be valid at. */
  readonly now?: () => Date
}

/** Cut more than other foreign text: a refusal names two hosts and a user. In characters. */
const LONGEST_NAME = 64

/**
 * The gate of keys that are restricted to destinations: `restrict-destination-v00@openssh.com`, PROTOCOL.agent section 2 of
 * OpenSSH, as ssh-agent.c has it (process_sign_request2, identity_permitted). Such a key signs only logins, on connections
 * that are bound, along permitted steps; elsewhere than on the agent's own machine it is listed, removed and sealed only
 * where it can be used from there on. Keys without destinations pass.
 *
 * Stricter: a connection with a bind that was refused gets no signature of any key, and sees none that is restricted. One
 * that is bound to a login gets no signature for a login of another session, with any key: prompts and the ledger would
 * name the host that it is bound to. An empty list of destinations permits nothing.
 */
export function createDestinations(options: DestinationsOptions = {}): QuickGate {
  const { now = () => new Date() } = options
  const seconds = () => BigInt(Math.floor(now().getTime() / 1000))
  return {
    pass(use) {
      const trouble = findTrouble(use, seconds)
      if (trouble !== undefined) throw new KeytoolError('refused', trouble)
    },
    shows: ({ terms: { destinations } }, { binding }) =>
      destinations === undefined || findWayTrouble({ destinations, now: seconds() }, binding) === undefined,
  }
}

const FAILED = 'a session of this connection was refused, and no key is used for it any more'

function findTrouble(use: Use, seconds: () => bigint): string | undefined {
  const { binding } = use.by
  if (use.action === 'sign' && binding.failed) return FAILED
  if (!('key' in use) || use.action === 'add') return undefined
  const { destinations } = use.key.terms
  if (destinations === undefined) return use.action === 'sign' ? findSessionTrouble(binding, use.purpose) : undefined
  const rules = { destinations, now: seconds() }
  return use.action === 'sign' ? findLoginTrouble(rules, binding, use.purpose) : findWayTrouble(rules, binding)
}

const ELSEWHERE = 'the login is of another session than the connection is bound to'

/** What lies beyond a forwarded agent may bind nothing, so its logins are of sessions that nobody knows. */
function findSessionTrouble({ hops }: Binding, purpose: Purpose): string | undefined {
  const last = hops.at(-1)
  if (!last || last.forwarding || purpose.kind !== 'login') return undefined
  return purpose.sessionId.equals(last.sessionId) ? undefined : ELSEWHERE
}

/** Why a restricted key may not sign this: the checks of process_sign_request2, in their order. */
function findLoginTrouble(rules: Rules, binding: Binding, purpose: Purpose): string | undefined {
  const { hops } = binding
  const last = hops.at(-1)
  if (!last) return 'the key is restricted to destinations, and this connection does not say which host it is for'
  if (purpose.kind !== 'login') return 'the key is restricted to destinations, and signs nothing but logins'
  const { user, sessionId, hostKey, certified } = purpose
  // As in ssh-agent, which compares the login's key with the one that signs.
  if (certified)
    return 'the key is restricted to destinations, and the login shows a certificate that is not held with it'
  const trouble = findWayTrouble(rules, binding, user)
  if (trouble !== undefined) return trouble
  if (!sessionId.equals(last.sessionId)) return ELSEWHERE
  if (hops.length > 1 && !hostKey) {
    return "the login comes through a forwarded agent and is not bound to a host's key, which the key's restriction asks for"
  }
  if (hostKey && !hostKey.equals(last.hostKey)) {
    return 'the login is bound to another host key than the connection is'
  }
  return undefined
}

/**
 * Why a restricted key may not be used over these hops: identity_permitted in ssh-agent.c.
 * @param user whom a login is for; absent where the key is listed, removed or sealed
 */
function findWayTrouble(rules: Rules, { hops, failed }: Binding, user?: string): string | undefined {
  if (failed) return FAILED
  let from: PublicKey | undefined
  for (const [index, hop] of hops.entries()) {
    const findHere = index === hops.length - 1 ? findLastTrouble : findMiddleTrouble
    const trouble = findHere(rules, hop, from, user)
    if (trouble !== undefined) return trouble
    from = hop.hostKey
  }
  return undefined
}

function findMiddleTrouble(rules: Rules, { hostKey, forwarding }: Bound, from?: PublicKey): string | undefined {
  if (!forwarding) return `the agent was not forwarded to ${nameOf(rules, hostKey)}, but something asks from beyond it`
  return findStepTrouble(rules, hostKey, from)
}

function findLastTrouble(rules: Rules, hop: Bound, from?: PublicKey, user?: string): string | undefined {
  const { hostKey, forwarding } = hop
  const isLogin = user !== undefined
  if (isLogin && forwarding) return `the agent is forwarded to ${nameOf(rules, hostKey)}, which is no login there`
  const trouble = findStepTrouble(rules, hostKey, from)
  if (trouble !== undefined) return trouble
  if (isLogin && !permitsStep(rules, { from, to: hostKey, user })) {
    return `the key may not be used as ${showForeign(user, LONGEST_NAME) || 'nobody'} at ${nameOf(rules, hostKey)}`
  }
  // Else a host would see the keys that lead to it, but are of no use from there.
  if (forwarding && !permitsStep(rules, { from: hostKey })) {
    return `the key may be used to get to ${nameOf(rules, hostKey)}, but not from there`
  }
  return undefined
}

function findStepTrouble(rules: Rules, to: PublicKey, from: PublicKey | undefined): string | undefined {
  if (permitsStep(rules, { from, to })) return undefined
  return `the key may not be used ${from ? `from ${nameOf(rules, from)} ` : ''}to get to ${nameOf(rules, to)}`
}

/** As the key's own destinations name the host; else by the host's key. */
function nameOf(rules: Rules, key: PublicKey): string {
  const host = hostOf(rules, key)
  return host === undefined ? `the host with the key ${fingerprint(key)}` : showForeign(host, LONGEST_NAME)
}
