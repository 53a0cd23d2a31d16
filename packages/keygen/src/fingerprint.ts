import { createHash } from 'node:crypto'
import type { PublicKey } from './key.js'

export type FingerprintHash = 'sha256' | 'md5'

/** `SHA256:` with unpadded base64, or `MD5:` with colons between the bytes, as ssh-keygen prints them. */
export function fingerprint(key: Pick<PublicKey, 'blob'>, hash: FingerprintHash = 'sha256'): string {
  const digest = createHash(hash).update(key.blob).digest()
  if (hash === 'md5') return `MD5:${digest.toString('hex').replace(/(..)(?!$)/g, '$1:')}`
  return `SHA256:${digest.toString('base64').replace(/=+$/, '')}`
}

/** The line of `ssh-keygen -l`: bits, fingerprint, comment, type. */
export function fingerprintLine(key: PublicKey, hash: FingerprintHash = 'sha256'): string {
  return `${key.bits} ${fingerprint(key, hash)} ${key.comment || 'no comment'} (${key.algorithm.label})`
}
