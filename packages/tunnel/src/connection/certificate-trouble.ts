import { type Certificate, type PublicKey, readCertificate, showForeign } from '@keytool/keygen'

/** What keeps a certificate from letting a user in, as far as it can be known here: sshd does not say. */
const troubles: readonly {
  has(certificate: Certificate, user: string, now: bigint): boolean
  say(certificate: Certificate): string
}[] = [
  { has: ({ kind }) => kind !== 'user', say: () => "it is a host's, not a user's" },
  {
    has: ({ validAfter }, _user, now) => now < validAfter,
    say: ({ validAfter }) => `it is valid from ${day(validAfter)} on`,
  },
  {
    has: ({ validBefore }, _user, now) => now >= validBefore,
    say: ({ validBefore }) => `it expired on ${day(validBefore)}`,
  },
  {
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
  const certificate = readCertificate(key)
  if (!certificate) return undefined
  const seconds = BigInt(Math.floor(now / 1000))
  return troubles.find(({ has }) => has(certificate, user, seconds))?.say(certificate)
}

/** The last second a date can hold: 9999-12-31. */
const LAST = 253402300799n

function day(seconds: bigint): string {
  return new Date(Number(seconds < LAST ? seconds : LAST) * 1000).toISOString().slice(0, 16).replace('T', ' ')
}
