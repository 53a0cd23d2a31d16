import type { AgentClient } from '@keytool/agent'
import { isKeytoolError, KeytoolError, type PublicKey, type Signer } from '@keytool/keygen'
import type { Context } from '../context.js'
import { openKey, publicHalf, type Unlocking, withCommentBeside } from '../files.js'
import { fromHome } from '../home-path.js'
import { defaultKeyFiles, signerFor } from '../signers.js'

/** The one key a command on servers is about. */
export interface ChosenKey {
  readonly key: PublicKey
  /** Its file, where it was named or found there. */
  readonly path?: string
  /** Signs with it; absent when only its public half is here. */
  readonly signer: Signer | undefined
}

/**
 * @param identity a key file or its public half; default: the first of ~/.ssh by ssh's names, or the agent's only key
 * @param when its passphrase is asked for: `now`, or when it first signs. A file that hides its public half is opened at once
 * @throws KeytoolError `not-found`, `damaged`; `unsupported` for a certificate, which is no key that lets anybody in
 */
export async function chooseKey(
  identity: string | undefined,
  when: 'now' | 'later',
  agent: AgentClient | undefined,
  unlocking: Unlocking,
  context: Context,
): Promise<ChosenKey> {
  const named = identity === undefined ? undefined : fromHome(identity, context)
  const path = named ?? (await defaultKeyFiles(context))[0]
  if (path === undefined) return onlyOf(agent, context)
  const { key, signer } = await readHalf(path, unlocking, context)
  refuseCertificate(path, key, context)
  return { key, path, signer: signer ?? (await signerFor(path, key, when, agent, unlocking, context)) }
}

async function onlyOf(agent: AgentClient | undefined, { places, name }: Context): Promise<ChosenKey> {
  const [only, another] = ((await agent?.signers()) ?? []).filter(({ certificate }) => !certificate)
  if (only && !another) return { key: only.publicKey, signer: only }
  throw new KeytoolError('not-found', `${places.ssh} holds no key with a default name`, {
    ...(another && { reason: 'the agent holds several: one has to be chosen' }),
    hint: `make one with ${name} gen, or name one with -i`,
  })
}

/** The public half: from the file, from the `.pub` beside it where that is all there is or shows more, or by opening it. */
async function readHalf(
  path: string,
  unlocking: Unlocking,
  context: Context,
): Promise<{ key: PublicKey; signer?: Signer }> {
  try {
    return { key: await publicHalf(path) }
  } catch (error) {
    if (!isKeytoolError(error) || !['not-found', 'secret-needed'].includes(error.code)) throw error
    const beside = await publicHalf(`${path}.pub`).catch(() => undefined)
    if (beside) return { key: beside }
    if (error.code === 'not-found') throw error
  }
  const { key, passphrase } = await openKey(path, unlocking, context)
  passphrase?.fill(0)
  return { key: await withCommentBeside(path, key.publicKey), signer: key }
}

function refuseCertificate(path: string, key: PublicKey, { say }: Context): void {
  if (!key.algorithm.certifies) return
  const plain = path.replace(/-cert\.pub$/, '.pub')
  throw new KeytoolError('unsupported', `${path} is a certificate, not the key that it is for`, {
    reason: 'authorized_keys takes keys; a server takes certificates by its TrustedUserCAKeys',
    ...(plain !== path && { hint: `name the key: -i ${say.word(plain)}` }),
  })
}
