import { KeytoolError } from '../../error.js'
import { toBigInt, toBytes } from '../../number.js'
import type { JwkForm } from './form.js'
import { decodeNumber, encodeNumber } from './members.js'

type RsaPublic = { e: Buffer; n: Buffer }
type RsaPrivate = { d: Buffer; iqmp: Buffer; p: Buffer; q: Buffer }

/** RSA, RFC 7518 section 6.3, with two primes: SSH has no keys with more. */
export const rsaJwk: JwkForm<RsaPublic, RsaPrivate> = {
  owns: ({ kty }) => kty === 'RSA',
  writePublic: ({ n, e }) => ({ kty: 'RSA', n: encodeNumber(n), e: encodeNumber(e) }),
  writePrivate: ({ d, p, q, iqmp }) => ({
    d: encodeNumber(d),
    p: encodeNumber(p),
    q: encodeNumber(q),
    dp: encodeNumber(exponentFor(d, p)),
    dq: encodeNumber(exponentFor(d, q)),
    qi: encodeNumber(iqmp),
  }),
  readPublic: members => ({ n: decodeNumber(members, 'n'), e: decodeNumber(members, 'e') }),
  readPrivate(members) {
    if (members.p === undefined && members.q === undefined) {
      throw new KeytoolError('unsupported', 'the JWK has an RSA key without its primes', {
        reason: 'RFC 7518 allows that, but SSH keys need them',
      })
    }
    const [n, e, d] = [decodeNumber(members, 'n'), decodeNumber(members, 'e'), decodeNumber(members, 'd')]
    const [p, q, iqmp] = [decodeNumber(members, 'p'), decodeNumber(members, 'q'), decodeNumber(members, 'qi')]
    // What SSH does not keep is checked here, as nobody else will.
    for (const [name, prime] of [
      ['dp', p],
      ['dq', q],
    ] as const) {
      if (!decodeNumber(members, name).equals(exponentFor(d, prime))) {
        throw new KeytoolError('damaged', `the RSA key contradicts itself: ${name} does not follow from d`)
      }
    }
    return { n, e, d, p, q, iqmp }
  },
}

/** d mod (prime - 1). Zero for a prime that can be none. */
function exponentFor(d: Buffer, prime: Buffer): Buffer {
  const modulus = toBigInt(prime) - 1n
  return toBytes(modulus > 0n ? toBigInt(d) % modulus : 0n)
}
