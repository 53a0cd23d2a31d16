import { realpath } from 'node:fs/promises'
import { type AgentClient, publicKeyOf } from '@keytool/agent'
import type { PublicKey } from '@keytool/keygen'
import { openAgentIfThere } from '../../agent-link.js'
import type { Context } from '../../context.js'

/** Every agent that programs of this user ask: the one of SSH_AUTH_SOCK, and ours at its own place where that is another. */
export async function openAgents(context: Context): Promise<readonly AgentClient[]> {
  const first = await openAgentIfThere(context)
  const own = context.places.agentSocket
  if (!context.env['SSH_AUTH_SOCK'] || (first && (await isSamePlace(first.path, own)))) return first ? [first] : []
  const env = { ...context.env, SSH_AUTH_SOCK: undefined }
  const second = await openAgentIfThere(Object.create(context, { env: { value: env, enumerable: true } }) as Context)
  return [first, second].filter(agent => agent !== undefined)
}

async function isSamePlace(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([one, other].map(path => realpath(path).catch(() => path)))
  return first === second
}

/** The keys that an agent shows, without certificates, with the comments it has for them. */
export async function heldKeys(agent: AgentClient): Promise<PublicKey[]> {
  const keys = new Map<string, PublicKey>()
  for (const identity of await agent.list()) {
    const key = publicKeyOf(identity)?.plain.withComment(identity.comment)
    if (key) keys.set(key.blob.toString('base64'), key)
  }
  return [...keys.values()]
}
