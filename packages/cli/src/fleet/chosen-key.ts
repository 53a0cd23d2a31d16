import type { AgentClient } from '@keytool/agent'
import { KeytoolError, type PublicKey, type Signer } from '@keytool/keygen'
import type { Context } from '../context.js'
import type { Unlocking } from '../files.js'

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
 * @param when its passphrase is asked for: `now`, or when it first signs
 * @throws KeytoolError `not-found`, `damaged`
 */
export async function chooseKey(
  identity: string | undefined,
  _when: 'now' | 'later',
  _agent: AgentClient | undefined,
  _unlocking: Unlocking,
  _context: Context,
): Promise<ChosenKey> {
  throw new KeytoolError('failed', `not there yet: ${identity}`)
}
