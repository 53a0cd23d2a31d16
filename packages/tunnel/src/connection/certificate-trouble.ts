import { type Certificate, type PublicKey, readCertificate, showForeign } from '@keytool/keygen'

export type CertificateTroubleKind = 'not-a-user' | 'not-yet' | 'expired' | 'principal'

export interface CertificateTrouble {
  readonly kind: CertificateTroubleKind
  /** With `it` for the certificate; escaped. */
  readonly text: string
}

/** What keeps a certificate from letting a user in, as far as it can be known here: sshd does not say. */
const troubles: readonly {
  readonly kind: CertificateTroubleKind
  has(certificate: Certificate, user: string, now: bigint): boolean
  say(certificate: Certificate): string
}[] = [
  { kind: 'not-a-user', has: ({ kind }) => kind !== 'user', say: () => "it is a host's, not a user's" },
  {
    kind: 'not-yet',
    has: ({ validAfter }, _user, now) => now < validAfter,
    say: ({ validAfter }) => `it is valid from ${day(validAfter)} on`,
  },
  {
    kind: 'expired',
    has: ({ validBefore }, _user, now) => now >= validBefore,
    say: ({ validBefore }) => `it expired on ${day(validBefore)}`,
  },
  {
    kind: 'principal',
    // The server may map principals to users in its own way: said, and offered all the same.
    has: ({ principals }, user) => !principals.includes(user),
    say: ({ principals }) => `it is for ${showForeign(principals.join(', ')) || 'nobody'}`,
  },
]

/**
 * Why the server may have refused a certificate; `undefined` when nothing is wrong with it as far as is known here.
 * @param now in milliseconds from 1970
 */
export function findUserTrouble(key: PublicKey, user: string, now: number): string | undefined {
  return judgeCertificate(key, user, now)?.text
}

/** The same, with its kind. */
export function judgeCertificate(key: PublicKey, user: string, now: number): CertificateTrouble | undefined {
  const certificate = readCertificate(key)
  if (!certificate) return undefined
  const seconds = BigInt(Math.floor(now / 1000))
  const found = troubles.find(({ has }) => has(certificate, user, seconds))
  return found && { kind: found.kind, text: found.say(certificate) }
}

/** The last second a date can hold: 9999-12-31. */
const LAST = 253402300799n

function day(seconds: bigint): string {
  return new Date(Number(seconds < LAST ? seconds : LAST) * 1000).toISOString().slice(0, 16).replace('T', ' ')
}
