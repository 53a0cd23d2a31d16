import { setTimeout as sleep } from 'node:timers/promises'
import { shellUnsetLines } from '@keytool/agent'
import { isRunning } from '@keytool/agent/platform'
import { KeytoolError } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { type AgentOptions, isAsleep, lookFor, placeOf, styleOf } from './options.js'

/** How long an agent may take to end: its ledger is put on the disk first, which may be busy. In milliseconds. */
const END_LIMIT = 15_000

/** `agent stop`: ours, at its fixed place or where `-a` says. */
export async function stopOurs(options: AgentOptions, context: Context): Promise<number> {
  const pid = await findPid(options, context)
  await end(pid)
  context.say.done(`the agent is stopped (pid ${pid}); its keys are gone from memory`)
  context.say.facts({ stopped: pid })
  return 0
}

/** `agent -k`, as ssh-agent has it: the agent SSH_AGENT_PID names, or else ours; then the lines that unset it. */
export async function stopNamed(options: AgentOptions, context: Context): Promise<number> {
  const named = context.env['SSH_AGENT_PID']
  const pid = named === undefined || named === '' ? await findPid(options, context) : parsePid(named)
  await end(pid)
  context.say.script(shellUnsetLines(styleOf(options, context), pid))
  return 0
}

async function findPid(options: AgentOptions, context: Context): Promise<number> {
  const place = placeOf(options, context)
  const { socket } = place
  const agent = (await isAsleep(place, context)) ? undefined : await lookFor(place)
  if (!agent)
    throw new KeytoolError('unreachable', `no agent answers at ${socket}`, { hint: 'nothing is to be stopped' })
  if (agent.pid !== undefined) return agent.pid
  throw new KeytoolError('failed', `an agent answers at ${socket}, but it is not keytool's`, {
    hint: 'stop it with the program that started it',
  })
}

/** A pid that names one process: kill(2) takes 0 and negative numbers for groups. */
function parsePid(text: string): number {
  const pid = /^[1-9]\d{0,9}$/.test(text) ? Number(text) : 0
  if (pid > 1) return pid
  throw new KeytoolError('usage', `SSH_AGENT_PID is ${JSON.stringify(text.slice(0, 20))}, which is no process`)
}

async function end(pid: number): Promise<void> {
  try {
    process.kill(pid, 'SIGTERM')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new KeytoolError('failed', `process ${pid} can't be stopped: ${code}`, { cause })
  }
  for (let waited = 0; isRunning(pid); waited += 20) {
    if (waited >= END_LIMIT)
      throw new KeytoolError('failed', `the agent (pid ${pid}) was asked to stop, but still runs`)
    await sleep(20)
  }
}
