// Making keys: small ones by the thousand, as for a fleet of machines, and large ones, which take as long as it takes to
// find primes.
import { measureEd25519 } from './keygen-ed25519.mjs'
import { measureRsa } from './keygen-rsa.mjs'

export const title = 'new keys without a passphrase: library, keytool gen, ssh-keygen'

export async function measure(world) {
  return [...(await measureEd25519(world)), ...(await measureRsa(world))]
}
