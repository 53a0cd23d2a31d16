import { algorithmOfType } from './algorithms/table.js'
import { KeytoolError } from './error.js'
import { PrivateKey } from './key.js'

export interface GenerateOptions {
  /** Size in bits, for types that have a choice (RSA: 2048 to 16384, default 3072). */
  readonly bits?: number
  readonly comment?: string
}

/**
 * Makes a fresh key.
 * @param type a name from the table of algorithms: `ed25519`, `ecdsa-256`, `ecdsa-384`, `ecdsa-521`, `rsa`
 * @throws KeytoolError `usage` for a type or size that is never made
 */
export async function generate(type: string, options: GenerateOptions = {}): Promise<PrivateKey> {
  const algorithm = algorithmOfType(type)
  const bits = checkSize(type, algorithm.sizes, options.bits)
  return PrivateKey.fromParts(algorithm, await algorithm.generate(bits), options.comment)
}

function checkSize(
  type: string,
  sizes: { min: number; max: number; default: number } | undefined,
  bits: number | undefined,
): number | undefined {
  if (!sizes) {
    if (bits === undefined) return undefined
    throw new KeytoolError('usage', `${type} keys have one size only`, { hint: 'leave the number of bits out' })
  }
  const wanted = bits ?? sizes.default
  if (!Number.isInteger(wanted) || wanted < sizes.min || wanted > sizes.max) {
    throw new KeytoolError('usage', `${type} keys are made from ${sizes.min} to ${sizes.max} bits`, {
      hint: `${sizes.default} is a good size`,
    })
  }
  return wanted
}
