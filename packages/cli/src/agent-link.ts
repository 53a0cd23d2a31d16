import { type AgentClient, checkPlace, connectAgent, findAgent } from '@keytool/agent'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Context } from './context.js'

/** An agent may ask its card, or its user, before it lists; after so long it is taken for dead. In milliseconds. */
const PATIENCE = 10_000

/**
 * The agent that `ssh` in this shell would ask: the one SSH_AUTH_SOCK names, if somebody listens there; else ours at its
 * fixed place. With both, what keytool loads is what every other program here sees.
 * @throws KeytoolError `unreachable`; `refused` where another user could be the one who answers
 */
export async function openAgent(context: Context): Promise<AgentClient> {
  const named = context.env['SSH_AUTH_SOCK']
  try {
    // Whom SSH_AUTH_SOCK names is the user's choice.
    const agent = named ? await connectAgent(named).catch(passOverUnreachable) : undefined
    if (agent) return await whoAnswers(agent)
    const ours = await openOurs(context)
    if (named)
      context.say.note(
        `nobody listens where SSH_AUTH_SOCK points; the agent at ${context.say.path(ours.path)} is asked`,
      )
    return ours
  } catch (error) {
    throw withHint(error, context)
  }
}

async function openOurs({ places }: Context): Promise<AgentClient> {
  const path = places.agentSocket
  // Who answers at our own place has to be ours: where nothing is now, somebody else may be the next moment.
  if (await checkPlace(path)) return whoAnswers(await connectAgent(path))
  throw new KeytoolError('unreachable', `no agent answers at ${path}`, { reason: 'there is no socket' })
}

/** Makes sure that something answers. One that is there but silent is an error, never a reason to ask another. */
async function whoAnswers(agent: AgentClient): Promise<AgentClient> {
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

function passOverUnreachable(error: unknown): undefined {
  if (!isUnreachable(error)) throw error
}

/** The same for those who can do without: `undefined` when none answers, or none that is safe to ask, which is said. */
export async function openAgentIfThere(context: Context): Promise<AgentClient | undefined> {
  return openAgent(context).catch(error => {
    if (!isKeytoolError(error)) throw error
    if (error.code !== 'unreachable')
      context.say.note(`no agent is asked: ${context.say.path(error.message)}: ${error.reason ?? ''}`)
    return undefined
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
