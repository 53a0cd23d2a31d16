import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import { keepAgent } from '@keytool/agent'
import { hardenProcess } from '@keytool/agent/platform'
import { KeytoolError } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { keychainProgram } from '../../keychain.js'
import { version } from '../../version.js'
import { type AgentOptions, isPassing, placeOf, settingsOf } from './options.js'
import { makeTemporaryPlace } from './temporary.js'

/** Runs a program with an agent of its own, in this process. The program's status is ours; the keys end with it. */
export async function runUnder(words: readonly string[], options: AgentOptions, context: Context): Promise<number> {
  const [program = '', ...args] = words
  const { env } = context
  const childEnv = { ...env }
  let dropKeys = () => {}
  hardenProcess(process.env, { onUser1: () => dropKeys() })
  const passing = isPassing(options) ? await makeTemporaryPlace() : undefined
  const own = options.socket ?? join(context.places.runtime, `agent-${process.pid}.sock`)
  const { socket, pidFile } = passing ?? placeOf({ socket: own }, context)
  try {
    const agent = await keepAgent({
      ...settingsOf(options),
      socket,
      pidFile,
      named: passing !== undefined || options.socket !== undefined,
      places: context.places,
      env,
      version,
      keychainProgram: keychainProgram(context),
      runsProgram: true,
      passing: true,
    })
    dropKeys = () => agent.dropKeys()
    const variables = { SSH_AUTH_SOCK: socket, SSH_AGENT_PID: String(process.pid) }
    return await runToItsEnd(program, args, { ...childEnv, ...variables }).finally(() => agent.stop())
  } finally {
    await passing?.remove()
  }
}

function runToItsEnd(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  let child: ChildProcess | undefined
  // The terminal sends Ctrl-C to both, and the program decides what it means. The others come to us alone. Handled before
  // there is a program, so that no signal ends us between its start and the handler.
  process.on('SIGINT', () => {})
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child?.kill(signal))
  return new Promise((resolve, reject) => {
    child = spawn(program, args, { stdio: 'inherit', env })
    child.once('error', cause => {
      const code = (cause as NodeJS.ErrnoException).code
      reject(
        code === 'ENOENT'
          ? new KeytoolError('not-found', `there is no program ${program}`, { hint: 'keytool agent --help', cause })
          : new KeytoolError('failed', `${program} can't be run: ${code}`, { cause }),
      )
    })
    child.once('close', (status, signal) => resolve(status ?? 128 + (signal ? constants.signals[signal] : 0)))
  })
}
