import { KeytoolError, matchesHost, type PublicKey } from '@keytool/keygen'
import { type KeyRule, type Policy, ruleOf } from '../policy/policy.js'
import type { Purpose } from '../purpose.js'
import { type Bound, type Caller, isForwarded, type Peer } from '../who.js'
import { describeUse, nameHost, nameKey } from '../wording.js'
import type { HeldKey, QuickGate, Use } from './gate.js'

export interface PolicyGateOptions {
  /** Asked at every use: it may change. */
  readonly policy: () => Policy
  /** What a host with this key is called, as known_hosts names hosts. Quick. */
  readonly names: (hostKey: PublicKey, by: Caller) => readonly string[]
}

type SignUse = Extract<Use, { action: 'sign' }>

/** What the policy has to allow before it is done through a forwarded agent, and how a refusal calls it. */
const fromAfar: Readonly<
  Partial<Record<Use['action'], { readonly needs: keyof Policy['forwarded']; readonly what: string }>>
> = {
  add: { needs: 'add', what: 'adds no keys' },
  remove: { needs: 'remove', what: 'removes no keys' },
  'remove-all': { needs: 'remove', what: 'removes no keys' },
  reencrypt: { needs: 'lock', what: 'seals no keys' },
  'reencrypt-all': { needs: 'lock', what: 'seals no keys' },
  lock: { needs: 'lock', what: 'locks nothing' },
  unlock: { needs: 'lock', what: 'unlocks nothing' },
  // A passphrase could be guessed there.
  unseal: { needs: 'lock', what: 'opens no keys' },
}

/**
 * The gate of `agent.json`: which programs use a key, which hosts it logs in to, who gets data of an unknown kind signed,
 * and what a forwarded agent is good for besides signing.
 *
 * A key with `hosts` signs logins to them and nothing else. The host is the last one that the connection is bound to: those
 * before it are only passed through, and a host that the agent is merely forwarded to is nobody's login. Who is bound to
 * no host sees such keys, as with OpenSSH's destinations, and can't use them.
 */
export function createPolicyGate({ policy, names }: PolicyGateOptions): QuickGate {
  const namesAt = (host: Bound, by: Caller) => (host.forwarding ? [] : names(host.hostKey, by))

  function findTrouble(use: Use): string | undefined {
    const now = policy()
    if (use.action !== 'sign') return findTroubleFromAfar(use, now)
    const rule = ruleOf(now, use.key.identity)
    return (rule && findRuleTrouble(rule, use)) ?? findDataTrouble(use, now)
  }

  function findRuleTrouble({ programs, hosts }: KeyRule, { by, key, purpose }: SignUse): string | undefined {
    if (programs && !isAmongPrograms(by.peer, programs)) return `${nameKey(key.identity)} is only for ${list(programs)}`
    if (!hosts) return undefined
    const only = `${nameKey(key.identity)} is only for logins to ${list(hosts)}`
    if (purpose.kind !== 'login') return only
    const last = by.binding.hops.at(-1)
    if (!last || last.forwarding || !isLoginTo(last, by, purpose))
      return `${only}, and where this one goes is not proved`
    if (isAmong(namesAt(last, by), hosts)) return undefined
    return `${only}, not to ${nameHost(last.hostKey, hostKey => names(hostKey, by))}`
  }

  return {
    pass(use) {
      const message = findTrouble(use)
      if (message === undefined) return
      const reason = describeUse(use, hostKey => names(hostKey, use.by))
      throw new KeytoolError('refused', message, { reason, hint: 'agent.json says who may do what' })
    },
    shows(key, by) {
      const rule = ruleOf(policy(), key.identity)
      const last = by.binding.hops.at(-1)
      // Who is bound to no host may be asking what there is, rather than looking for a way in.
      if (!rule || !last) return true
      if (rule.programs && !isAmongPrograms(by.peer, rule.programs)) return false
      return rule.hosts === undefined || isAmong(namesAt(last, by), rule.hosts)
    },
  }
}

/** Whether the key's rule lets it log in to a host that is called so. */
export function mayLogInTo(policy: Policy, { identity }: HeldKey, names: readonly string[]): boolean {
  const hosts = ruleOf(policy, identity)?.hosts
  return hosts === undefined || isAmong(names, hosts)
}

function findDataTrouble({ by: { binding }, purpose }: SignUse, { unknownData }: Policy): string | undefined {
  if (purpose.kind !== 'unknown') return undefined
  if (unknownData === 'never') return 'only logins and SSHSIG are signed'
  if (binding.hops.length === 0 && !binding.failed) return undefined
  return 'for a connection that is bound to a host only logins and SSHSIG are signed'
}

function findTroubleFromAfar({ action, by: { binding } }: Use, { forwarded }: Policy): string | undefined {
  const row = fromAfar[action]
  if (!row || forwarded[row.needs]) return undefined
  // After a bind that was refused nobody can say where it comes from.
  return isForwarded(binding) || binding.failed ? `who comes through a forwarded agent ${row.what}` : undefined
}

/** Of those who stand behind a connection one is enough: git asks through ssh. Who is not known is nobody. */
function isAmongPrograms(peer: Peer | undefined, programs: readonly string[]): boolean {
  return peer?.programs.some(({ name, path }) => programs.some(each => each === name || each === path)) ?? false
}

/** Behind a forwarded agent only the form that names the host's key will do, as with OpenSSH's destinations. */
function isLoginTo(last: Bound, { binding }: Caller, purpose: Extract<Purpose, { kind: 'login' }>): boolean {
  const { sessionId, hostKey } = purpose
  if (binding.failed || !sessionId.equals(last.sessionId)) return false
  return hostKey ? hostKey.equals(last.hostKey) : binding.hops.length === 1
}

function isAmong(names: readonly string[], patterns: readonly string[]): boolean {
  return names.some(name => matchesHost({ patterns }, name))
}

/** A policy may name hundreds. */
function list(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ')
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown
}
