import { agentAtLogin } from '@keytool/agent'
import { lookFor, placeOf } from '../../commands/agent/options.js'
import { haveAtLogin, lookAtLogin, takeFromLogin } from '../at-login.js'
import type { Step } from '../job.js'

/** What starts the agent at every login. Before the agent itself: where systemd listens for it, its first use starts it. */
export const loginStep: Step = {
  name: 'login',
  title: 'at login',
  sharedBy: 'all',
  async look({ flags, context }) {
    if (flags.onlyNow) return { state: 'done', text: 'not wanted: --only-now' }
    const { kind, isThere } = await lookAtLogin(agentAtLogin, flags, context)
    if (isThere) return { state: 'done', text: `the agent is started by ${kind.title}` }
    return { state: 'to-do', text: `the agent would be started by ${kind.title}` }
  },
  async apply({ flags, record, context }) {
    await record.note('login', { state: 'begun', facts: {} })
    const isTaken = async () => (await lookFor(placeOf({}, context))) !== undefined
    const { kind } = await haveAtLogin(agentAtLogin, flags, isTaken, context)
    await record.note('login', { state: 'done', facts: { kind: kind.name } })
    return `the agent is started by ${kind.title} from now on`
  },
  async undo({ context }) {
    await takeFromLogin(agentAtLogin, async () => {}, context)
    return 'nothing starts the agent any more'
  },
  foretell: () => 'nothing would start the agent any more',
}
