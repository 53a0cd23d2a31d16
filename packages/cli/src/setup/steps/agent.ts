import { setTimeout as sleep } from 'node:timers/promises'
import { type AgentClient, publicKeyOf } from '@keytool/agent'
import { fingerprint, isKeytoolError, KeytoolError } from '@keytool/keygen'
import { startAgent } from '../../commands/agent/background.js'
import { isAsleep, lookFor, placeOf } from '../../commands/agent/options.js'
import { stopOurs } from '../../commands/agent/stop.js'
import type { Context } from '../../context.js'
import { readReports } from '../../held-keys.js'
import { count } from '../../text.js'
import { sweepDeadAgent } from '../dead-agent.js'
import { openOurs, type Step, type Undoing } from '../job.js'
import { muted } from '../muted.js'

/** The agent that runs now. */
export const agentStep: Step = {
  name: 'agent',
  title: 'agent',
  sharedBy: 'all',
  async look({ context }) {
    const place = placeOf({}, context)
    if (await isAsleep(place, context)) return { state: 'done', text: 'starts when it is first asked' }
    const found = await lookFor(place)
    if (!found) return { state: 'to-do', text: 'would be started' }
    if (found.pid !== undefined) return { state: 'done', text: `runs (pid ${found.pid})` }
    throw new KeytoolError('refused', `another program's agent answers at ${place.socket}`, {
      reason: 'setup needs one that opens keys by itself after a login',
      hint: 'stop it with the program that started it, and do this again',
    })
  },
  async apply({ context, record }) {
    await record.note('agent', { state: 'begun', facts: {} })
    const { pid } = await startAgent(placeOf({}, context), {}, muted(context))
    await record.note('agent', { state: 'done', facts: { ...(pid !== undefined && { pid }) } })
    return `started (pid ${pid})`
  },
  undo: stop,
  foretell: () => 'would be stopped, if it holds no other keys',
}

/** An agent that holds other keys by now is of use to somebody. */
async function stop(undoing: Undoing): Promise<string> {
  const { context } = undoing
  const agent = (await isAsleep(placeOf({}, context), context)) ? undefined : await openOurs(context)
  if (!agent) {
    await sweepDeadAgent(placeOf({}, context))
    return 'had stopped already'
  }
  const others = await countOthers(agent, undoing).finally(() => agent.close())
  if (others > 0) return `goes on: it holds ${count(others, 'other key')}`
  try {
    await stopOurs({}, muted(context))
  } catch (error) {
    if (!isKeytoolError(error) || error.code !== 'unreachable') throw error
  }
  await untilGone(context)
  await sweepDeadAgent(placeOf({}, context))
  return 'stopped'
}

async function countOthers(agent: AgentClient, { record }: Undoing): Promise<number> {
  const ours = ['key', 'held'].map(step => record.madeBy(step)?.facts['fingerprint'])
  const reportOf = await readReports(agent)
  const others = (await agent.list()).filter(identity => {
    const key = publicKeyOf(identity)?.plain
    return reportOf(identity)?.origin !== 'upstream' && !(key && ours.includes(fingerprint(key)))
  })
  return others.length
}

/** It takes its files away last of all. */
async function untilGone(context: Context): Promise<void> {
  for (let tries = 0; tries < 100 && (await lookFor(placeOf({}, context))); tries++) await sleep(20)
}
