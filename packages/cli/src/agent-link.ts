import { type AgentClient, connectAgent, findAgent } from '@keytool/agent'
import { isKeytoolError, KeytoolError, type PrivateKey } from '@keytool/keygen'
import type { Context } from './context.js'

/** An agent that is alive answers a connect at once. In milliseconds. */
const PATIENCE = 3_000

/**
 * The agent that `ssh` in this shell would ask: the one SSH_AUTH_SOCK names, if it answers; else ours at its fixed
 * place. With both, what keytool loads is what every other program here sees.
 * @throws KeytoolError `unreachable`
 */
export async function openAgent(context: Context): Promise<AgentClient> {
  const ours = context.places.agentSocket
  const named = context.env['SSH_AUTH_SOCK'] || ours
  try {
    return await connectAgent(named, { timeout: PATIENCE })
  } catch (error) {
    if (named === ours || !isUnreachable(error)) throw withHint(error, context)
  }
  return connectAgent(ours, { timeout: PATIENCE }).catch(error => {
    throw withHint(error, context)
  })
}

/** The same, or `undefined` when no agent answers. */
export async function openAgentIfThere(context: Context): Promise<AgentClient | undefined> {
  return openAgent(context).catch(error => {
    if (isUnreachable(error)) return undefined
    throw error
  })
}

/** Opens an agent for one piece of work, and lets go of it afterwards. */
export async function withAgent<T>(context: Context, work: (agent: AgentClient) => Promise<T>): Promise<T> {
  const agent = await openAgent(context)
  try {
    return await work(agent)
  } finally {
    agent.close()
  }
}

/** Whether this agent is keytool's own, by the pid file beside its socket. */
export async function isOurs(agent: AgentClient): Promise<boolean> {
  return (await findAgent(agent.path))?.pid !== undefined
}

/** Hands a key to the agent; afterwards only the agent has it. */
export async function addToAgent(key: PrivateKey, context: Context): Promise<void> {
  const { say } = context
  await withAgent(context, async agent => {
    await agent.add(key)
    const where = agent.path === context.places.agentSocket ? 'the agent' : `the agent at ${say.path(agent.path)}`
    say.done(`loaded into ${where}`)
  })
}

function isUnreachable(error: unknown): boolean {
  return isKeytoolError(error) && error.code === 'unreachable'
}

/** The line to type, under the name this program was called by. */
function withHint(error: unknown, { name }: Context): unknown {
  if (!isKeytoolError(error) || error.code !== 'unreachable') return error
  const { message, reason, cause } = error
  return new KeytoolError('unreachable', message, {
    ...(reason !== undefined && { reason }),
    hint: `start one: eval "$(${name} agent)"`,
    cause,
  })
}
