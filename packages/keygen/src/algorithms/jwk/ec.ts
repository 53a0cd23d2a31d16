import { stripZeros } from '../../wire.js'
import type { JwkForm } from './form.js'
import { decodeExactly, encodeMember } from './members.js'

type EcPublic = { curve: Buffer; q: Buffer }
type EcPrivate = { d: Buffer }

/**
 * ECDSA on a NIST curve, RFC 7518 section 6.2. Coordinates and the secret have the curve's full length, zeros in front.
 * @param bits of the curve; @param ssh its name in SSH, such as `nistp256`
 */
export function ecJwk({ bits, ssh }: { readonly bits: number; readonly ssh: string }): JwkForm<EcPublic, EcPrivate> {
  const crv = `P-${bits}`
  const size = Math.ceil(bits / 8)
  const readPublic: JwkForm<EcPublic, EcPrivate>['readPublic'] = members => ({
    curve: Buffer.from(ssh),
    q: Buffer.concat([Buffer.of(4), decodeExactly(members, 'x', size), decodeExactly(members, 'y', size)]),
  })
  return {
    owns: members => members.kty === 'EC' && members.crv === crv,
    writePublic: ({ q }) => ({
      kty: 'EC',
      crv,
      x: encodeMember(q.subarray(1, 1 + size)),
      y: encodeMember(q.subarray(1 + size)),
    }),
    writePrivate({ d }) {
      const padded = Buffer.concat([Buffer.alloc(size - d.length), d])
      try {
        return { d: encodeMember(padded) }
      } finally {
        padded.fill(0)
      }
    },
    readPublic,
    readPrivate: members => ({ ...readPublic(members), d: stripZeros(decodeExactly(members, 'd', size)) }),
  }
}
