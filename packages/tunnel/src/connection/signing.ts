import { KeytoolError, type SignatureHash, type Signer, showForeign } from '@keytool/keygen'

/**
 * Signs for a login, in the scheme that was agreed on.
 * @param hash which of RSA's; absent for the other types
 * @returns the signature's blob, without the scheme's name
 * @throws KeytoolError `unsupported` for SHA-1, which is never signed with; `failed` when the signer chose another
 * scheme than asked; whatever the signer throws
 */
export async function signAsAsked(signer: Signer, data: Uint8Array, hash: SignatureHash | undefined): Promise<Buffer> {
  if (hash === 'sha1') {
    throw new KeytoolError('unsupported', 'the server takes RSA signatures with SHA-1 only', {
      hint: 'use an Ed25519 key with this server',
    })
  }
  const { schemes } = signer.publicKey.algorithm
  const asked = hash ? schemes.find(scheme => scheme.hash === hash) : schemes[0]
  const signature = await signer.sign(data, hash ? { hash } : {})
  if (signature.scheme === asked?.name) return signature.blob
  throw new KeytoolError('failed', `the key signed as ${showForeign(signature.scheme)}, not as ${asked?.name}`)
}
