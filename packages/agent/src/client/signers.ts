import type { Signature, Signer } from '@keytool/keygen'
import { type Identity, publicKeyOf } from '../agent.js'
import { flagsOf } from '../protocol/flags.js'

/** Asks the agent for a signature by the identity with this blob. */
type SignWith = (blob: Buffer, data: Buffer, flags: number) => Promise<Signature>

/**
 * The identity as one who signs: a certificate as its key, with the certificate beside it. The agent is asked under the
 * blob that it holds, since what it holds each under may differ. `undefined` for types that are in no table.
 */
export function signerOf(identity: Identity, sign: SignWith): Signer | undefined {
  const held = publicKeyOf(identity)
  if (!held) return undefined
  const publicKey = held.plain
  return {
    publicKey,
    ...(held.algorithm.certifies && { certificate: held }),
    sign: (data, options = {}) => sign(held.blob, Buffer.from(data), flagsOf(publicKey.algorithm, options.hash)),
  }
}
