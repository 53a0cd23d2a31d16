import type { Algorithm } from './algorithms/algorithm.js'
import { algorithmOfType } from './algorithms/table.js'
import { KeytoolError } from './error.js'
import { PrivateKey } from './key.js'

export interface GenerateOptions {
  /** Size in bits, for types that have a choice (RSA: 2048 to 16384, default 3072). */
  readonly bits?: number
  readonly comment?: string
}

/** What {@link generate} would make: the type's row, and the size where it has a choice. */
export interface KeyPlan {
  readonly algorithm: Algorithm
  readonly bits: number | undefined
}

/**
 * Checks a wish before anything is asked or computed.
 * @param type a name from the table of algorithms: `ed25519`, `ed448`, `ecdsa-256`, `ecdsa-384`, `ecdsa-521`, `rsa`, `mldsa44-ed25519`
 * @throws KeytoolError `usage` for a type or size that is never made
 */
export function planKey(type: string, bits?: number): KeyPlan {
  const algorithm = algorithmOfType(type)
  const { sizes } = algorithm
  if (!sizes) {
    // What has one size has it whatever the key.
    if (bits === undefined || bits === algorithm.bits({})) return { algorithm, bits: undefined }
    throw new KeytoolError('usage', `${type} keys have one size only`, { hint: 'leave the number of bits out' })
  }
  const wanted = bits ?? sizes.default
  if (!Number.isInteger(wanted) || wanted < sizes.min || wanted > sizes.max) {
    throw new KeytoolError('usage', `${type} keys are made from ${sizes.min} to ${sizes.max} bits`, {
      hint: `${sizes.default} is a good size`,
    })
  }
  return { algorithm, bits: wanted }
}

/** Makes a fresh key. Throws as {@link planKey} does. */
export async function generate(type: string, options: GenerateOptions = {}): Promise<PrivateKey> {
  const { algorithm, bits } = planKey(type, options.bits)
  return PrivateKey.generated(algorithm, bits, options.comment)
}
