import type { Signer } from '@keytool/keygen'
import type { ConnectOptions } from '@keytool/tunnel'
import { bindAgent } from '../bind-agent.js'
import type { Context } from '../context.js'
import { openOurs, type SetupKey } from './job.js'

/**
 * What signs with the key for one login: the agent's where it holds it, which is told whom for, else the file that was
 * opened. Never a certificate: this is about the key alone.
 */
export async function withSigner<T>(
  { publicKey, opened }: SetupKey,
  context: Context,
  use: (signer: Signer | undefined, binding: Pick<ConnectOptions, 'onBinding'>) => Promise<T>,
): Promise<T> {
  const agent = publicKey && (await openOurs(context))
  if (!agent) return use(opened, {})
  try {
    const held = (await agent.signers()).find(each => !each.certificate && each.publicKey.equals(publicKey))
    if (!held) return await use(opened, {})
    return await use(held, { onBinding: async proof => void (await bindAgent(agent, proof)) })
  } finally {
    agent.close()
  }
}
