import { isKeytoolError, showForeign } from '@keytool/keygen'
import { type Connection, type Diagnosis, diagnose } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import type { Step } from './report.js'
import { cluesOf, type Stop } from './stop.js'

/** Every shell knows it, and so do csh and fish. */
const NOTHING = 'exit 0'
/** In milliseconds. */
const PATIENCE = 10_000
/** What a login may say on the way, in bytes. */
const CAP = 64 * 1024

/** How sshd of OpenSSH tells which line let a key in, and what it allows: `PATH:LINE: key options: … command …`. */
const OPTIONS = /:\d+: key options:(.*)$/s

/**
 * Whether there is a shell. It is asked for a command that does nothing, and only where the server says that the key has
 * no command of its own: that one would be run in its place.
 */
export async function checkShell(
  connection: Connection,
  stop: Stop,
  context: Context,
): Promise<{ steps: Step[]; diagnosis?: Diagnosis }> {
  try {
    // Its remarks come before its answer to what is asked after them.
    await connection.ping(PATIENCE)
    const options = connection.remarks.map(remark => OPTIONS.exec(remark)?.[1]).find(found => found !== undefined)
    if (options === undefined) return { steps: [] }
    if (/(^|\s)command(\s|$)/.test(options)) {
      return { steps: [{ step: 'shell', ok: true, text: 'the key has a command of its own, which is left alone' }] }
    }
    const { status, signal, stdout, stderr } = await connection.exec(NOTHING, { timeout: PATIENCE, cap: CAP })
    if (status === 0) return { steps: [{ step: 'shell', ok: true, text: 'it runs commands' }] }
    const words = `${stdout.toString('utf8')} ${stderr.toString('utf8')}`.trim()
    const how = status === undefined ? `ended by ${showForeign(signal ?? 'the server')}` : `ended with ${status}`
    return noShell(words === '' ? how : `it says "${showForeign(words)}", and ${how}`, stop, context)
  } catch (error) {
    if (!isKeytoolError(error) || error.code === 'cancelled') throw error
    if (error.code === 'refused') return noShell(error.message, stop, context)
    // One that never comes to an end, or says more than it should, is none of a login's troubles.
    return { steps: [] }
  }
}

function noShell(evidence: string, stop: Stop, context: Context): { steps: Step[]; diagnosis: Diagnosis } {
  return {
    steps: [{ step: 'shell', ok: false, text: 'none' }],
    diagnosis: diagnose('no-shell', cluesOf(stop, undefined, context), [evidence]),
  }
}
