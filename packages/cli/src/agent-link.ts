import { type AgentClient, checkPlace, connectAgent, findAgent } from '@keytool/agent'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Context } from './context.js'

/** An agent that is alive lists its keys at once: that asks nobody anything. In milliseconds. */
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
    // Whom SSH_AUTH_SOCK names is the user's choice; who answers at our own place has to be ours.
    if (named === ours) await checkPlace(ours)
    return await reach(named)
  } catch (error) {
    if (named === ours || !isUnreachable(error)) throw withHint(error, context)
  }
  await checkPlace(ours)
  return reach(ours).catch(error => {
    throw withHint(error, context)
  })
}

/** Connects, and makes sure that something answers. Later answers may take their time: an agent may ask its user. */
async function reach(path: string): Promise<AgentClient> {
  const agent = await connectAgent(path)
  const timer = setTimeout(() => agent.close(), PATIENCE)
  try {
    await agent.list()
    return agent
  } catch (error) {
    agent.close()
    throw error
  } finally {
    clearTimeout(timer)
  }
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
  try {
    return (await findAgent(agent.path, undefined, { named: true }))?.pid !== undefined
  } catch {
    // In a place that is not safe nothing counts as ours.
    return false
  }
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
