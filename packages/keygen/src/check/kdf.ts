import type { KdfFacts } from '../formats/format.js'

/** How much a KDF adds to a passphrase. */
export type KdfStrength = 'weak' | 'fair' | 'strong'

/** One row a family of KDFs: what its cost is, and from where on that is fair, and strong. */
interface Scale {
  readonly name: RegExp
  cost(kdf: KdfFacts): number
  readonly fair: number
  readonly strong: number
}

/**
 * Where the marks stand: OpenSSH has taken 16 rounds since 2014 and 24 since 2024; PuTTY takes some 13 passes over 8 MiB;
 * OWASP's advice of 2023 is 600000 iterations of PBKDF2 with SHA-256, and 128 MiB (here: a quarter) of scrypt.
 */
const scales: readonly Scale[] = [
  { name: /^bcrypt$/, cost: ({ rounds = 0 }) => rounds, fair: 8, strong: 16 },
  { name: /^Argon2/, cost: ({ memory = 0, passes = 0 }) => memory * passes, fair: 8192 * 3, strong: 8192 * 8 },
  { name: /^pbkdf2/, cost: ({ rounds = 0 }) => rounds, fair: 100_000, strong: 600_000 },
  { name: /^scrypt$/, cost: ({ memory = 0 }) => memory, fair: 8192, strong: 32_768 },
]

/** A KDF that is no such thing, but one or two hashes (PEM, ssh.com, PPK before version 3), is weak whatever its numbers. */
export function rateKdf(kdf: KdfFacts): KdfStrength {
  const scale = scales.find(({ name }) => name.test(kdf.name))
  if (!scale) return 'weak'
  const cost = scale.cost(kdf)
  if (cost < scale.fair) return 'weak'
  return cost < scale.strong ? 'fair' : 'strong'
}
