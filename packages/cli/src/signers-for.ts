import type { AgentClient } from '@keytool/agent'
import { KeytoolError, type PublicKey, type Signer } from '@keytool/keygen'
import { type HostSettings, isLongEnough } from '@keytool/tunnel'
import { certificateBeside } from './certificate-beside.js'
import type { Context } from './context.js'
import { isThere, publicHalf, type Unlocking } from './files.js'
import { allSigners, defaultKeyFiles, fileSigner, signerFor } from './signers.js'

/** What ssh_config says of keys. */
type SignerSettings = Pick<HostSettings, 'identityFiles' | 'identitiesOnly' | 'requiredRsaSize'>

/**
 * What to log in with at one host: the key that was chosen and no other; else the keys that ssh_config names for it, first
 * those the agent holds, then, unless IdentitiesOnly says no, the agent's others; else all that ssh would offer.
 * @throws KeytoolError `not-found` when only the public half of the chosen key is here
 */
export async function signersFor(
  chosen: string | undefined,
  settings: SignerSettings,
  agent: AgentClient | undefined,
  unlocking: Unlocking,
  context: Context,
): Promise<Signer[]> {
  const all = await allFor(chosen, settings, agent, unlocking, context)
  const long = all.filter(({ publicKey }) => isLongEnough(publicKey, settings.requiredRsaSize))
  if (long.length < all.length) context.say.note('RSA keys that are shorter than RequiredRSASize are left out')
  return long
}

async function allFor(
  chosen: string | undefined,
  { identityFiles, identitiesOnly = false }: SignerSettings,
  agent: AgentClient | undefined,
  unlocking: Unlocking,
  context: Context,
): Promise<Signer[]> {
  if (chosen !== undefined) return [await onlyChosen(chosen, agent, unlocking, context)]
  if (identityFiles === undefined) {
    return withTheirCertificates(await allSigners(identitiesOnly ? undefined : agent, unlocking, context), context)
  }
  const held = (await agent?.signers()) ?? []
  const named: Signer[] = []
  const inFiles: Signer[] = []
  for (const path of identityFiles) {
    // A file that is not there is passed over, as ssh does.
    const publicKey = await shownHalf(path).catch(() => undefined)
    if (!publicKey) continue
    const ofAgent = held.filter(signer => signer.publicKey.equals(publicKey))
    for (const signer of ofAgent) named.push(await withCertificateBeside(signer, path, context))
    if (ofAgent.length > 0 || !(await isThere(path))) continue
    inFiles.push(await withCertificateBeside(fileSigner(path, publicKey, unlocking, context), path, context))
  }
  const isNamed = ({ publicKey }: Signer) => named.some(signer => signer.publicKey.equals(publicKey))
  return [...named, ...(identitiesOnly ? [] : held.filter(signer => !isNamed(signer))), ...inFiles]
}

async function onlyChosen(
  path: string,
  agent: AgentClient | undefined,
  unlocking: Unlocking,
  context: Context,
): Promise<Signer> {
  const publicKey = await shownHalf(path)
  const signer = await signerFor(path, publicKey, 'later', agent, unlocking, context)
  if (signer) return withCertificateBeside(signer, path, context)
  throw new KeytoolError('not-found', `only the public half of ${path} is here`, {
    hint: 'load the private key into the agent, or name its file with -i',
  })
}

/** The public half of a key's file, or, where that is not here, of the `.pub` that would lie beside it: as ssh has it. */
async function shownHalf(path: string): Promise<PublicKey> {
  const shown = await publicHalf(path).catch(error => publicHalf(`${path}.pub`).catch(() => Promise.reject(error)))
  return shown.plain
}

/** Those of the default files with the certificates that lie beside them. */
async function withTheirCertificates(signers: Signer[], context: Context): Promise<Signer[]> {
  for (const path of await defaultKeyFiles(context)) {
    const publicKey = await shownHalf(path).catch(() => undefined)
    const index = publicKey ? signers.findIndex(signer => signer.publicKey.equals(publicKey)) : -1
    const signer = signers[index]
    if (signer) signers[index] = await withCertificateBeside(signer, path, context)
  }
  return signers
}

/** The same with the certificate that lies beside the file, if the signer has none of its own. */
async function withCertificateBeside(signer: Signer, path: string, context: Context): Promise<Signer> {
  if (signer.certificate) return signer
  const certificate = await certificateBeside(path.replace(/\.pub$/, ''), signer.publicKey, context)
  return certificate ? { ...holding(signer), certificate } : signer
}

/** Without the object's own ways: a key in memory is more than one who signs. */
function holding(signer: Signer): Signer {
  return { publicKey: signer.publicKey, sign: (data, options) => signer.sign(data, options) }
}
