import type { PublicKey, Signer } from '@keytool/keygen'

/** One thing to log in with: a key, or a certificate of it. */
export interface OfferedKey {
  readonly signer: Signer
  /** Absent: the key itself. */
  readonly certificate?: PublicKey
}

/**
 * What to offer, in this order: keys as they come, each behind its certificates. A certificate is offered once, and a key
 * itself by those who hold it without one, where there are any.
 */
export function offerKeys(signers: readonly Signer[]): OfferedKey[] {
  const byKey = new Map<string, Signer[]>()
  for (const signer of signers) {
    const name = nameOf(signer.publicKey)
    byKey.set(name, [...(byKey.get(name) ?? []), signer])
  }
  return [...byKey.values()].flatMap(offerOne)
}

/** @param holders all who hold one key; at least one */
function offerOne(holders: readonly Signer[]): OfferedKey[] {
  const certificates = new Map<string, OfferedKey>()
  for (const signer of holders) {
    const { certificate } = signer
    if (certificate && !certificates.has(nameOf(certificate))) {
      certificates.set(nameOf(certificate), { signer, certificate })
    }
  }
  const plain = holders.filter(({ certificate }) => !certificate)
  return [...certificates.values(), ...(plain.length > 0 ? plain : holders.slice(0, 1)).map(signer => ({ signer }))]
}

function nameOf(key: PublicKey): string {
  return key.blob.toString('base64')
}
