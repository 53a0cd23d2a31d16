import { join } from 'node:path'
import type { AgentClient } from '@keytool/agent'
import type { PrivateKey, PublicKey, Signer } from '@keytool/keygen'
import type { Context } from './context.js'
import { isThere, openKey, publicHalf, type Unlocking } from './files.js'

/** The names that ssh itself looks for in ~/.ssh, in the order keytool prefers them. */
export const defaultNames = ['id_ed25519', 'id_ecdsa', 'id_rsa'] as const

/** A key in a file, opened (and its passphrase asked for) when it first signs, and not before. */
function fileSigner(path: string, publicKey: PublicKey, unlocking: Unlocking, context: Context): Signer {
  let key: Promise<PrivateKey> | undefined
  return {
    publicKey,
    async sign(data, options) {
      key ??= openKey(path, unlocking, context).then(opened => opened.key)
      return (await key).sign(data, options)
    },
  }
}

/**
 * The signer for one key: the agent's where it holds the key, else the file itself.
 * @param path of the private key, or of its public half beside it
 * @param when a key in a file is opened, and its passphrase asked for: `now`, or when it first signs
 * @returns `undefined` when only the public half is here
 */
export async function signerFor(
  path: string,
  publicKey: PublicKey,
  when: 'now' | 'later',
  agent: AgentClient | undefined,
  unlocking: Unlocking,
  context: Context,
): Promise<Signer | undefined> {
  const held = (await agent?.signers())?.find(signer => signer.publicKey.equals(publicKey))
  if (held) return held
  const file = path.replace(/\.pub$/, '')
  if (!(await isThere(file))) return undefined
  if (when === 'later') return fileSigner(file, publicKey, unlocking, context)
  const { key, passphrase } = await openKey(file, unlocking, context)
  passphrase?.fill(0)
  return key
}

/** All that may be offered where nobody chose a key: the agent's, then the default files it does not hold. */
export async function allSigners(
  agent: AgentClient | undefined,
  unlocking: Unlocking,
  context: Context,
): Promise<Signer[]> {
  const signers = (await agent?.signers()) ?? []
  for (const path of await defaultKeyFiles(context)) {
    const publicKey = await publicHalf(path).catch(() => undefined)
    if (!publicKey || signers.some(signer => signer.publicKey.equals(publicKey))) continue
    signers.push(fileSigner(path, publicKey, unlocking, context))
  }
  return signers
}

/** The private keys in ~/.ssh that have a default name. */
export async function defaultKeyFiles({ places }: Context): Promise<string[]> {
  const found: string[] = []
  for (const name of defaultNames) {
    const path = join(places.ssh, name)
    if (await isThere(path)) found.push(path)
  }
  return found
}
