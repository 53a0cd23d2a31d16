import type { Algorithm, PublicAlgorithm } from '../algorithms/algorithm.js'
import type { PublicKey } from '../key.js'
import { toBigInt } from '../number.js'

/**
 * What can be wrong with a key that reads well.
 *
 * - `debian`, `roca`, `close-primes`, `small-factor` the private key can be had from the public one
 * - `small-order` the public key accepts signatures nobody had a key for
 * - `too-small`, `dsa` what is left of its strength is not enough, or no longer accepted
 * - `sha1-only`, `small-exponent`, `p521-putty` worth knowing
 */
export type WeaknessCode =
  | 'debian'
  | 'roca'
  | 'close-primes'
  | 'small-factor'
  | 'small-order'
  | 'too-small'
  | 'dsa'
  | 'sha1-only'
  | 'small-exponent'
  | 'p521-putty'

export interface Weakness {
  readonly code: WeaknessCode
  /** `broken`: use it nowhere; `weak`: replace it soon; `note`: nothing is wrong with it by itself. */
  readonly severity: 'broken' | 'weak' | 'note'
  /** One sentence about the key. */
  readonly text: string
  /** What to do about it. */
  readonly hint?: string
  /** Where to read more: a CVE, an RFC. */
  readonly reference?: string
}

/** One row of the table: whom it concerns, and whether it is so. */
interface Check extends Omit<Weakness, 'text'> {
  readonly text: string | ((key: PublicKey) => string)
  /** @param plain the key's type; of a certificate, the type of the key it certifies */
  applies(plain: PublicAlgorithm, key: PublicKey): boolean
  /** True when the key has it. Absent where all keys it applies to have it. Takes milliseconds, whatever the key says. */
  run?(key: PublicKey): boolean | Promise<boolean>
}

const REPLACE = 'make a new key, and take this one off every server that accepts it'

/** The gravest first, as they are to be told. The heavier checks load what they need when they run. */
const checks: readonly Check[] = [
  {
    code: 'debian',
    severity: 'broken',
    text: "it was made by Debian's broken OpenSSL of 2006 to 2008, which knew 32767 keys of a kind, all published",
    hint: REPLACE,
    reference: 'CVE-2008-0166',
    applies: ({ type }) => type === 'rsa' || type === 'dsa',
    run: async key => (await import('./debian.js')).isDebianWeak(key),
  },
  {
    code: 'roca',
    severity: 'broken',
    text: 'it was made by a faulty Infineon library (smartcards, TPMs, tokens until 2017), and its primes can be computed',
    hint: REPLACE,
    reference: 'CVE-2017-15361',
    applies: isRsa,
    run: async key => (await import('./roca.js')).hasRocaFingerprint(modulusOf(key)),
  },
  {
    code: 'close-primes',
    severity: 'broken',
    text: 'its two primes lie so close together that they can be computed from the public key',
    hint: REPLACE,
    reference: 'CVE-2022-26320',
    applies: isRsa,
    run: async key => (await import('./factors.js')).hasClosePrimes(modulusOf(key)),
  },
  {
    code: 'small-factor',
    severity: 'broken',
    text: 'its modulus has a small factor: it was damaged, or made by something faulty',
    hint: REPLACE,
    applies: isRsa,
    run: async key => (await import('./factors.js')).hasSmallFactor(modulusOf(key)),
  },
  {
    code: 'small-order',
    severity: 'broken',
    text: 'it is a point of small order: signatures that it accepts can be made without any private key',
    hint: 'take it off every server that accepts it',
    applies: ({ type }) => type === 'ed25519' || type === 'ed25519-sk',
    run: async key => (await import('./small-order.js')).hasSmallOrder(partOf(key, 'pk')),
  },
  {
    code: 'too-small',
    severity: 'weak',
    text: key => `${key.bits} bits are few for an RSA key; 2048 are the least that is advised`,
    hint: 'make an Ed25519 key, or an RSA key of 3072 bits',
    reference: 'NIST SP 800-131A',
    applies: (plain, key) => isRsa(plain) && key.bits < 2048,
  },
  {
    code: 'dsa',
    severity: 'weak',
    text: 'DSA keys are accepted by no OpenSSH since 7.0 unless it is told to, and since 10.0 by none',
    hint: 'make an Ed25519 key',
    applies: ({ type }) => type === 'dsa',
  },
  {
    code: 'sha1-only',
    severity: 'note',
    text: 'it signs with SHA-1 only',
    reference: 'RFC 4253 section 6.6',
    applies: ({ schemes }) => schemes.every(({ hash }) => hash === 'sha1'),
  },
  {
    code: 'small-exponent',
    severity: 'note',
    text: key =>
      `its public exponent is ${toBigInt(partOf(key, 'e'))}, which careless checks of signatures can be fooled with`,
    reference: 'CVE-2006-4339',
    // OpenSSH had 35 until 2010 and PuTTYgen 37 until 2021: those are no reason for alarm.
    applies: (plain, key) => isRsa(plain) && toBigInt(partOf(key, 'e')) < 17n,
  },
  {
    code: 'p521-putty',
    severity: 'note',
    text: 'PuTTY 0.68 to 0.80 gives such keys away: some 60 signatures it made are enough to compute the private key',
    hint: 'if PuTTY, Pageant or a program built on them ever signed with it, replace it',
    reference: 'CVE-2024-31497',
    applies: ({ type }) => type === 'ecdsa-521',
  },
]

/**
 * Everything known against a key, the gravest first; nothing for a good key. Takes milliseconds, for hostile keys too.
 * Of a certificate, the key it certifies is looked at.
 */
export async function findWeaknesses(key: PublicKey): Promise<readonly Weakness[]> {
  const plain = key.algorithm.certifies ?? key.algorithm
  const found: Weakness[] = []
  for (const { applies, run, text, ...facts } of checks) {
    if (!applies(plain, key) || (run && !(await run(key)))) continue
    found.push({ ...facts, text: typeof text === 'string' ? text : text(key) })
  }
  return found
}

function isRsa({ type }: Pick<Algorithm, 'type'>): boolean {
  return type === 'rsa'
}

function modulusOf(key: PublicKey): bigint {
  return toBigInt(partOf(key, 'n'))
}

function partOf(key: PublicKey, name: string): Buffer {
  return key.parts[name] ?? Buffer.alloc(0)
}
