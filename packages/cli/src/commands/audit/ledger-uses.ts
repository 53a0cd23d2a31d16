import { type LedgerRecord, ledgerFolder, readLedger } from '@keytool/agent'
import { fingerprint, isKeytoolError, type PublicKey } from '@keytool/keygen'
import type { Context } from '../../context.js'

/** Whom a key signed for, and how often. */
export interface SignedFor {
  readonly user?: string
  /** As the ledger has it: a name, or the fingerprint of a host key. */
  readonly host?: string
  /** Such as `login`, `sshsig:git`. */
  readonly purpose: string
  readonly times: number
  readonly last: Date
}

/**
 * The signatures that the agent at its usual place has made, by the fingerprints of their keys; none where no ledger can
 * be read, which is said.
 */
export function readSignatures(context: Context): ReadonlyMap<string, readonly SignedFor[]> {
  const uses = new Map<string, Map<string, SignedFor>>()
  for (const { key, user, host, purpose = 'unknown', time } of readSigned(context)) {
    const last = new Date(time)
    if (key === undefined || Number.isNaN(last.getTime())) continue
    const ofKey = uses.get(key) ?? new Map<string, SignedFor>()
    uses.set(key, ofKey)
    const name = JSON.stringify([user, host, purpose])
    const before = ofKey.get(name)
    ofKey.set(name, {
      ...(user !== undefined && { user }),
      ...(host !== undefined && { host }),
      purpose,
      times: (before?.times ?? 0) + 1,
      last: before && before.last > last ? before.last : last,
    })
  }
  return new Map([...uses].map(([key, each]) => [key, [...each.values()]]))
}

/** When a key last signed anything. */
export function lastSignature(
  uses: ReadonlyMap<string, readonly SignedFor[]>,
  key: Pick<PublicKey, 'blob' | 'plain'>,
): Date | undefined {
  const all = uses.get(fingerprint(key)) ?? []
  return all.reduce<Date | undefined>((latest, { last }) => (latest && latest > last ? latest : last), undefined)
}

function readSigned(context: Context): readonly LedgerRecord[] {
  try {
    const matches = ({ action, verdict }: LedgerRecord) => action === 'sign' && verdict === 'allowed'
    return readLedger({ folder: ledgerFolder(context.places), matches }).entries
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    if (error.code !== 'not-found') context.say.note(`the ledger is left out: ${context.say.path(error.message)}`)
    return []
  }
}
