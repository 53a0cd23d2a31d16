import { KeytoolError } from '../error.js'
import type { Algorithm, PublicAlgorithm } from './algorithm.js'
import { certificatesOf } from './certificate.js'
import { dsa } from './dsa.js'
import { ecdsa256, ecdsa384, ecdsa521 } from './ecdsa.js'
import { ed448, ed25519 } from './eddsa.js'
import { mldsa44Ed25519 } from './mldsa44-ed25519.js'
import { rsa } from './rsa.js'
import { skEcdsa, skEd25519 } from './sk.js'

/** Every type of key that has a private half. All knowledge of a type is in its row. */
export const algorithms: readonly Algorithm[] = [
  ed25519,
  ed448,
  ecdsa256,
  ecdsa384,
  ecdsa521,
  mldsa44Ed25519,
  rsa,
  dsa,
  skEd25519,
  skEcdsa,
]

/** Every type of public key: the same, and their certificates. */
export const publicAlgorithms: readonly PublicAlgorithm[] = [...algorithms, ...algorithms.map(certificatesOf)]

const byName: ReadonlyMap<string, Algorithm> = new Map(algorithms.map(row => [row.name, row]))
const publicByName: ReadonlyMap<string, PublicAlgorithm> = new Map(publicAlgorithms.map(row => [row.name, row]))
/** The types that can be made. */
const byType: ReadonlyMap<string, Algorithm> = new Map(
  algorithms.filter(row => row.generate).map(row => [row.type, row]),
)

/** Schemes whose signatures have a tail, and its length in bytes. */
export const schemeTails: ReadonlyMap<string, number> = new Map(
  algorithms.flatMap(row => row.schemes).flatMap(({ name, tail }) => (tail === undefined ? [] : [[name, tail]])),
)

/** The row of private keys with this name on the wire. Throws `unsupported`. */
export function algorithmNamed(name: string): Algorithm {
  const row = byName.get(name)
  if (!row) throw unknownType(name)
  return row
}

/** The row of public keys and certificates with this name on the wire. Throws `unsupported`. */
export function publicAlgorithmNamed(name: string): PublicAlgorithm {
  const row = publicByName.get(name)
  if (!row) throw unknownType(name)
  return row
}

/** The row that `gen -t` means. Throws `usage`. */
export function algorithmOfType(type: string): Algorithm {
  const row = byType.get(type)
  if (!row) {
    throw new KeytoolError('usage', `${JSON.stringify(type)} is no type of key that is made`, {
      hint: `one of: ${[...byType.keys()].join(', ')}`,
    })
  }
  return row
}

function unknownType(name: string): KeytoolError {
  // The name is foreign text: it is shown only cut and escaped.
  return new KeytoolError('unsupported', `keys of type ${JSON.stringify(name.slice(0, 64))} are not supported`)
}
