import { fingerprint, type PublicKey } from '@keytool/keygen'

/** A public key as `--json` shows it everywhere. */
export function keyFacts(key: PublicKey): {
  type: string
  bits: number
  comment: string
  fingerprint: { sha256: string; md5: string }
} {
  return {
    type: key.algorithm.name,
    bits: key.bits,
    comment: key.comment,
    fingerprint: { sha256: fingerprint(key), md5: fingerprint(key, 'md5') },
  }
}
