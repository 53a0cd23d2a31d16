import { type Certificate, findHostTrouble, matchesPattern, type PublicKey, readCertificate } from '@keytool/keygen'
import type { Destination, Hop } from '../terms.js'

/** What a restricted key is held to. */
export interface Rules {
  readonly destinations: readonly Destination[]
  /** In seconds from 1970: host certificates have to be valid then. */
  readonly now: bigint
}

/** A step from host to host. */
export interface Step {
  /** Absent: from the machine that the agent runs on. */
  readonly from: PublicKey | undefined
  /** Absent: to any host. */
  readonly to?: PublicKey
  /** Whom it logs in as. Absent: not known, or nobody logs in. */
  readonly user?: string
}

/** Whether one of the destinations permits this step: permitted_by_dest_constraints in ssh-agent.c. */
export function permitsStep({ destinations, now }: Rules, { from, to, user }: Step): boolean {
  return destinations.some(
    destination =>
      (from === undefined ? isOrigin(destination.from) : isHost(from, destination.from, now)) &&
      (to === undefined || isHost(to, destination.to, now)) &&
      (user === undefined || destination.to.user === '' || matchesPattern(destination.to.user, user)),
  )
}

/** What the destinations call the host with this key; undefined where it is none of theirs. Foreign text. */
export function hostOf({ destinations, now }: Rules, key: PublicKey): string | undefined {
  return destinations.flatMap(({ from, to }) => [from, to]).find(hop => isHost(key, hop, now))?.host
}

function isOrigin({ host, keys }: Hop): boolean {
  return host === '' && keys.length === 0
}

/**
 * match_key_hop in ssh-agent.c: a plain key has to be one of the hop's; a certificate speaks for the hop's host, and is
 * signed by one of its authorities. That it is signed at all was verified when the connection was bound.
 */
function isHost(key: PublicKey, { host, keys }: Hop, now: bigint): boolean {
  const certificate = certificateOf(key)
  if (!certificate) return keys.some(known => !known.isAuthority && known.key.equals(key))
  return (
    keys.some(known => known.isAuthority && known.key.equals(certificate.authority)) &&
    findHostTrouble(certificate, host, now) === undefined
  )
}

/** Reading one costs more than all that is asked of it here, and a list asks for every key it holds. */
const certificates = new WeakMap<PublicKey, Certificate>()

function certificateOf(key: PublicKey): Certificate | undefined {
  if (!key.algorithm.certifies) return undefined
  const known = certificates.get(key)
  if (known) return known
  const certificate = readCertificate(key)
  if (certificate) certificates.set(key, certificate)
  return certificate
}
