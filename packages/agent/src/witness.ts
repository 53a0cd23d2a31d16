import { fingerprint, type PublicKey } from '@keytool/keygen'
import { fingerprintOf } from './agent.js'
import type { HeldKey, Use } from './gates/gate.js'
import type { LedgerEntry } from './ledger/entry.js'
import type { Purpose } from './purpose.js'
import type { Witness } from './ring/ring-core.js'
import { type Caller, isForwarded } from './who.js'

type Facts = Omit<LedgerEntry, 'action'>

/** Writes what is asked for, and what keys do by themselves, into a ledger. */
export function createWitness(
  write: (entry: LedgerEntry) => void,
  names: (hostKey: PublicKey, by: Caller) => readonly string[],
): Witness {
  return {
    used(use, verdict, reason) {
      write({
        action: use.action,
        verdict,
        ...factsOfCaller(use.by),
        ...('key' in use && factsOfKey(use.key)),
        ...(use.action === 'sign' && factsOfPurpose(use, names)),
        ...(reason !== undefined && { reason }),
      })
    },
    passed(key, what) {
      const action = what === 'expired' ? 'expire' : 'seal'
      write({
        action,
        ...factsOfKey(key),
        reason: what === 'expired' ? 'its lifetime is over' : 'it was idle',
      })
    },
  }
}

function factsOfKey({ identity }: HeldKey): Facts {
  return { key: fingerprintOf(identity), ...(identity.comment !== '' && { comment: identity.comment }) }
}

/** A connection keeps its caller, and makes many signatures. */
const callers = new WeakMap<Caller, { readonly hops: number; readonly facts: Facts }>()

function factsOfCaller(by: Caller): Facts {
  const { hops } = by.binding
  const known = callers.get(by)
  if (known?.hops === hops.length) return known.facts
  const { peer } = by
  const [first] = peer?.programs ?? []
  const last = peer?.programs.at(-1)
  const facts: Facts = {
    ...(last && { program: last.name }),
    ...(first && first !== last && { via: first.name }),
    ...(peer?.pid !== undefined && { pid: peer.pid }),
    ...(peer?.uid !== undefined && { uid: peer.uid }),
    ...(isForwarded(by.binding) && { forwarded: true }),
  }
  callers.set(by, { hops: hops.length, facts })
  return facts
}

function factsOfPurpose(
  { by, purpose }: Extract<Use, { action: 'sign' }>,
  names: (hostKey: PublicKey, by: Caller) => readonly string[],
): Facts {
  const hostKey = by.binding.hops.at(-1)?.hostKey
  const host = hostKey && (names(hostKey, by)[0] ?? fingerprint(hostKey))
  return {
    ...(purpose.kind === 'login' && { user: purpose.user }),
    ...(host !== undefined && { host }),
    purpose: nameOf(purpose),
  }
}

function nameOf(purpose: Purpose): NonNullable<LedgerEntry['purpose']> {
  return purpose.kind === 'sshsig' ? `sshsig:${purpose.namespace}` : purpose.kind
}
