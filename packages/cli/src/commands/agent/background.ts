import { spawn } from 'node:child_process'
import { parse } from 'node:path'
import { type AgentSettings, type FoundAgent, shellLines } from '@keytool/agent'
import { nodeArguments, withoutNodeVariables } from '@keytool/agent/platform'
import { type ErrorCode, KeytoolError, showForeign } from '@keytool/keygen'
import type { Context } from '../../context.js'
import type { StartReport } from './foreground.js'
import {
  type AgentOptions,
  type AgentPlace,
  flagsOf,
  isPassing,
  lookFor,
  placeOf,
  settingsOf,
  styleOf,
} from './options.js'
import { findOther, nameOther, upstreamWords } from './other.js'

/** How long a start may take on a busy machine, in milliseconds. */
const START_LIMIT = 15_000

/** Starts an agent that outlives us, unless one answers already, and prints what a shell evaluates either way. */
export async function startInBackground(options: AgentOptions, context: Context): Promise<number> {
  const settings = settingsOf(options)
  const { say, name } = context
  // A temporary place is nobody's yet: the agent makes it.
  const place = isPassing(options) ? undefined : placeOf(options, context)
  const running = place && (await lookFor(place))
  if (running && Object.keys(settings).length > 0) {
    say.note(`an agent runs already, and goes on as it was started: ${name} agent stop ends it`)
  }
  const agent = running ?? (await startAgent(place, settings, context))
  if (!running && settings.upstream === undefined) await tellOfOther(agent, context)
  const { socket } = agent
  if (agent.pid === undefined) {
    say.note(`another program's agent answers at ${say.path(socket)}`)
  }
  say.script(shellLines(styleOf(options, context), socket, agent.pid))
  say.facts({ socket, pid: agent.pid ?? null })
  return 0
}

/** Once, when ours comes into being: whoever replaces an agent may not know that there was one. */
async function tellOfOther({ socket }: FoundAgent, context: Context): Promise<void> {
  const { say, name } = context
  const other = await findOther(context, socket)
  const words = other && upstreamWords(other, `${name} agent`, context)
  if (words)
    say.note(`SSH_AUTH_SOCK named ${nameOther(other)}; its keys can be served here, too: ${name} agent stop; ${words}`)
}

/** Starts an agent that outlives us. Another one that was quicker serves as well. */
export async function startAgent(
  place: AgentPlace | undefined,
  settings: AgentSettings,
  context: Context,
): Promise<FoundAgent> {
  const where = place ? (place.named ? ['-a', place.socket] : []) : ['-T']
  const args = ['agent', '-D', ...where, ...flagsOf(settings)]
  const child = spawn(process.execPath, [...nodeArguments(), context.program, ...args], {
    detached: true,
    // It keeps no terminal, no pipe and no folder of ours busy.
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    cwd: parse(process.execPath).root,
    env: withoutNodeVariables(context.env),
    windowsHide: true,
  })
  const report = await new Promise<StartReport>((resolve, reject) => {
    const fail = (why: string, cause?: unknown) =>
      reject(new KeytoolError('failed', `the agent did not start: ${why}`, { cause }))
    const timer = setTimeout(() => {
      child.kill()
      fail('it took too long')
    }, START_LIMIT)
    child.once('message', message => {
      clearTimeout(timer)
      resolve(message as StartReport)
    })
    child.once('error', error => fail('it could not be run', error))
    child.once('exit', (code, signal) => {
      clearTimeout(timer)
      fail(`it ended with ${signal ?? code}`)
    })
  })
  child.unref()
  if ('pid' in report) {
    for (const each of report.troubles) context.say.note(context.say.path(showForeign(each)))
    return { socket: report.socket, pid: report.pid, since: undefined }
  }
  const { code, message, ...details } = report.error
  // Two starts at the same instant: the other one won, and serves both.
  const winner = place && code === 'exists' ? await lookFor(place) : undefined
  if (winner) return winner
  throw new KeytoolError(code as ErrorCode, message, details)
}
