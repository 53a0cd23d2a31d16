import type { Signer } from '@keytool/keygen'

/** The same signer; tells that it was asked to sign. A server asks a key that it takes, and no other. */
export function noteSigning(signer: Signer, onSigned: () => void): Signer {
  const { publicKey, certificate } = signer
  return {
    publicKey,
    ...(certificate && { certificate }),
    async sign(data, options) {
      const signature = await signer.sign(data, options)
      onSigned()
      return signature
    },
  }
}
