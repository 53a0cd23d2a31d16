import { encodeSignature, KeytoolError, type SignatureHash, type Signer, showForeign } from '@keytool/keygen'
import { sha1Only } from './public-key.js'

/**
 * Signs for a login, in the scheme that was agreed on.
 * @param hash which of RSA's; absent for the other types
 * @returns the signature as one string: the scheme's name, then its blob
 * @throws KeytoolError `unsupported` for SHA-1, which is never signed with; `failed` when the signer chose another
 * scheme than asked; whatever the signer throws
 */
export async function signAsAsked(signer: Signer, data: Uint8Array, hash: SignatureHash | undefined): Promise<Buffer> {
  if (hash === 'sha1') throw sha1Only()
  const { schemes } = signer.publicKey.algorithm
  const asked = hash ? schemes.find(scheme => scheme.hash === hash) : schemes[0]
  const signature = await signer.sign(data, hash ? { hash } : {})
  if (signature.scheme === asked?.name) return encodeSignature(signature)
  throw new KeytoolError('failed', `the key signed as ${showForeign(signature.scheme)}, not as ${asked?.name}`)
}
