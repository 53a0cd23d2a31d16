import type { PublicKey } from '@keytool/keygen'

/** A host in a {@link Destination}, and the keys by which it is known. */
export interface Hop {
  /** Whom it may be used as there: a pattern of `*` and `?`. Empty: anybody. Never set on `from`. */
  readonly user: string
  /** Empty on `from`: the machine that the agent runs on. */
  readonly host: string
  readonly keys: readonly { readonly key: PublicKey; readonly isAuthority: boolean }[]
}

/** One permitted step of a key: `restrict-destination-v00@openssh.com` (PROTOCOL.agent section 2). */
export interface Destination {
  readonly from: Hop
  readonly to: Hop
}

/** Under what conditions a key is held. All of them are enforced; what can't be is refused when it is added. */
export interface Terms {
  /** Seconds after which it is removed, counted from when it was added. */
  readonly lifetime?: number
  /** Seconds without use after which it is sealed again, where it can be. */
  readonly idle?: number
  /** Whether the user is asked at every use. */
  readonly confirm?: boolean
  /** Steps it may be used on. Absent: everywhere. */
  readonly destinations?: readonly Destination[]
}

/** Whether a key would be held more loosely than before. A lifetime that begins anew, and other destinations, count as looser. */
export function isLooser({ confirm, idle = Number.POSITIVE_INFINITY }: Terms, before: Terms): boolean {
  if (before.lifetime !== undefined || before.destinations !== undefined) return true
  return (before.confirm === true && !confirm) || (before.idle !== undefined && idle > before.idle)
}
