import { KeytoolError } from '../error.js'
import type { Algorithm } from './algorithm.js'
import { ecdsa256, ecdsa384, ecdsa521 } from './ecdsa.js'
import { ed25519 } from './ed25519.js'
import { rsa } from './rsa.js'

/** Every key type there is. All knowledge of a type is in its row. */
export const algorithms: readonly Algorithm[] = [ed25519, ecdsa256, ecdsa384, ecdsa521, rsa]

const byName: ReadonlyMap<string, Algorithm> = new Map(algorithms.map(row => [row.name, row]))
const byType: ReadonlyMap<string, Algorithm> = new Map(algorithms.map(row => [row.type, row]))

/** The row with this name on the wire. Throws `unsupported`. */
export function algorithmNamed(name: string): Algorithm {
  const row = byName.get(name)
  // The name is foreign text: it is shown only cut and escaped.
  if (!row) throw new KeytoolError('unsupported', `keys of type ${JSON.stringify(name.slice(0, 64))} are not supported`)
  return row
}

/** The row that `gen -t` means. Throws `usage`. */
export function algorithmOfType(type: string): Algorithm {
  const row = byType.get(type)
  if (!row) {
    throw new KeytoolError('usage', `${JSON.stringify(type)} is no type of key`, {
      hint: `one of: ${[...byType.keys()].join(', ')}`,
    })
  }
  return row
}
