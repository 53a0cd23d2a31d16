import { keepAgent, shellLines } from '@keytool/agent'
import { hardenProcess } from '@keytool/agent/platform'
import { isKeytoolError, showForeign } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { keychainProgram } from '../../keychain.js'
import { version } from '../../version.js'
import { type AgentOptions, isPassing, placeOf, settingsOf, styleOf } from './options.js'
import { restartAfterCrash } from './restart.js'
import { makeTemporaryPlace, type TemporaryPlace } from './temporary.js'

/** What a background agent tells the process that started it, once. */
export type StartReport =
  | { readonly pid: number; readonly socket: string; readonly troubles: readonly string[] }
  | { readonly error: { code: string; message: string; reason?: string; hint?: string } }

/** Serves until a signal comes. Ends with 0 then: it was asked to. */
export async function runInForeground(options: AgentOptions, context: Context): Promise<number> {
  let dropKeys = () => {}
  hardenProcess(process.env, { onUser1: () => dropKeys() })
  let passing: TemporaryPlace | undefined
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())
  try {
    const { env, places } = context
    if (isPassing(options)) passing = await makeTemporaryPlace()
    const { socket, pidFile, named } = passing ?? placeOf(options, context)
    // An agent for this once would come back in another place, where nobody looks for it.
    // One that was handed its socket is started again by whoever handed it over.
    if (!passing && env['LISTEN_PID'] === undefined) restartAfterCrash(context.program)
    const agent = await keepAgent({
      ...settingsOf(options),
      socket,
      pidFile,
      named,
      places,
      env,
      version,
      keychainProgram: keychainProgram(context),
      signal: stop.signal,
      passing: passing !== undefined,
    })
    dropKeys = () => agent.dropKeys()
    const troubles = [...agent.news, ...agent.troubles]
    if (process.send) report({ pid: agent.pid, socket, troubles })
    else context.say.script(shellLines(styleOf(options, context), agent.socket, agent.pid, true))
    for (const each of troubles) context.say.note(context.say.path(showForeign(each)))
    await agent.stopped
    return 0
  } catch (error) {
    if (!process.send || !isKeytoolError(error)) throw error
    const { code, message, reason, hint } = error
    report({ error: { code, message, ...(reason && { reason }), ...(hint && { hint }) } })
    return 1
  } finally {
    await passing?.remove()
  }
}

/** Tells whoever started us, and lets go of them: they may end now. */
function report(value: StartReport): void {
  process.send?.(value, () => process.disconnect())
}
