import { runAgent, shellLines } from '@keytool/agent'
import { hardenProcess } from '@keytool/agent/platform'
import { isKeytoolError } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { type AgentOptions, placeOf, styleOf } from './options.js'

/** What a background agent tells the process that started it, once. */
export type StartReport =
  | { readonly pid: number }
  | { readonly error: { code: string; message: string; reason?: string; hint?: string } }

/** Serves until a signal comes. Ends with 0 then: it was asked to. */
export async function runInForeground(options: AgentOptions, context: Context): Promise<number> {
  hardenProcess()
  const place = placeOf(options, context)
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort())
  try {
    const agent = await runAgent({ ...place, signal: stop.signal })
    if (process.send) report({ pid: agent.pid })
    else context.say.script(shellLines(styleOf(options, context), agent.socket, agent.pid, true))
    await agent.stopped
    return 0
  } catch (error) {
    if (!process.send || !isKeytoolError(error)) throw error
    const { code, message, reason, hint } = error
    report({ error: { code, message, ...(reason && { reason }), ...(hint && { hint }) } })
    return 1
  }
}

/** Tells whoever started us, and lets go of them: they may end now. */
function report(value: StartReport): void {
  process.send?.(value, () => process.disconnect())
}
