import type { PublicAlgorithm, SignatureHash } from '@keytool/keygen'

/** Flags of a sign request, best hash last (RFC 9987 section 5.3). Where both are set the first counts, as in OpenSSH. */
const hashFlags: readonly { readonly flag: number; readonly hash: SignatureHash }[] = [
  { flag: 2, hash: 'sha256' },
  { flag: 4, hash: 'sha512' },
]

/** The hash an RSA key signs with. Without a flag it is `ssh-rsa`'s SHA-1; other flags mean nothing, as in OpenSSH. */
export function hashOfFlags(flags: number): SignatureHash {
  return hashFlags.find(({ flag }) => (flags & flag) !== 0)?.hash ?? 'sha1'
}

/** The flags that ask for this hash. A type without a choice has none; without a hash the type's best is asked for. */
export function flagsOf(algorithm: PublicAlgorithm, hash?: SignatureHash): number {
  const [best, ...others] = algorithm.schemes
  if (others.length === 0) return 0
  return hashFlags.find(row => row.hash === (hash ?? best?.hash))?.flag ?? 0
}
