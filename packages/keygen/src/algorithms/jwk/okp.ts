import type { JwkForm } from './form.js'
import { decodeExactly, encodeMember } from './members.js'

type OkpPublic = { pk: Buffer }
type OkpPrivate = { seed: Buffer }

/**
 * Ed25519 and Ed448, RFC 8037 section 2.
 * @param curve such as `Ed25519`; @param size of the public key and of the seed, in bytes
 */
export function okpJwk(curve: string, size: number): JwkForm<OkpPublic, OkpPrivate> {
  const readPublic: JwkForm<OkpPublic, OkpPrivate>['readPublic'] = members => ({
    pk: decodeExactly(members, 'x', size),
  })
  return {
    owns: ({ kty, crv }) => kty === 'OKP' && crv === curve,
    writePublic: ({ pk }) => ({ kty: 'OKP', crv: curve, x: encodeMember(pk) }),
    writePrivate: ({ seed }) => ({ d: encodeMember(seed) }),
    readPublic,
    readPrivate: members => ({ ...readPublic(members), seed: decodeExactly(members, 'd', size) }),
  }
}
