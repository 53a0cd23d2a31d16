import { isKeytoolError, KeytoolError, type PublicKey, type Signer } from '@keytool/keygen'
import { HalfLogin } from '../connection/auth.js'
import { type Again, type Verified, verifyKeyAlone } from './verify.js'

/**
 * Whether the server takes a key, on a connection of its own. One that asks for a signature takes it (RFC 4252 section 7),
 * whether anybody here can sign or not; so does one for which the key is right, and not enough.
 * @param signer without it the server is only asked whether it would take the key
 * @returns what let the key in; `undefined` for a key that is refused
 * @throws KeytoolError as {@link verifyKeyAlone}, but for `secret-wrong`: then nothing is known of the key
 */
export async function findAdmission(
  again: Again,
  publicKey: PublicKey,
  signer: Signer | undefined,
): Promise<Verified | undefined> {
  let isTaken = false
  let hasSigned = false
  const asked: Signer = {
    publicKey,
    async sign(data, options) {
      isTaken = true
      if (!signer) throw new KeytoolError('not-found', 'the private half is not here')
      const signature = await signer.sign(data, options)
      hasSigned = true
      return signature
    },
  }
  try {
    return await verifyKeyAlone(again, asked)
  } catch (error) {
    // Whoever pressed Ctrl-C at the passphrase wants no answer.
    if (!isKeytoolError(error) || error.code === 'cancelled') throw error
    if ((isTaken && !hasSigned) || error instanceof HalfLogin) return {}
    if (error.code === 'secret-wrong') return undefined
    throw error
  }
}
