import type { Parts } from '../algorithm.js'

/** The members of a JSON Web Key that are text. */
export type JwkMembers = Readonly<Record<string, string>>

/** How a JSON Web Key (RFC 7517, 7518, 8037) holds one type of key. */
export interface JwkForm<Public extends Parts = Parts, Private extends Parts = Parts> {
  /** Whether the members name this type: `kty`, and `crv` where that has several. */
  owns(members: JwkMembers): boolean
  /** Members of the public half, `kty` first. */
  writePublic(key: Public): JwkMembers
  /** Members of the private half alone. */
  writePrivate(key: Public & Private): JwkMembers
  /** Throws `damaged` for members that are missing or of a wrong length. */
  readPublic(members: JwkMembers): Public
  /** All parts, the public ones included. */
  readPrivate(members: JwkMembers): Public & Private
}
