import type { Duplex } from 'node:stream'
import { KeytoolError, showForeign } from '@keytool/keygen'
import type { Greeting } from './kinds.js'

/** What of a greeting is read, in bytes. Longer ones have said enough. */
const MAX_GREETING = 1024
/** What of it is shown, in characters. */
const MAX_SHOWN = 120

export interface Greeted {
  /** Its first line, ready to be shown. */
  readonly banner: string
  /** Whether it was heard to its end, so that it may be answered. */
  readonly whole: boolean
}

/**
 * Reads what a server says first.
 * @throws KeytoolError `unreachable` when it ends before; `damaged` when it says something else
 */
export function readGreeting(stream: Duplex, { alive, last }: Greeting): Promise<Greeted> {
  return new Promise((resolve, reject) => {
    let text = ''
    const settle = (end: () => void) => {
      stream.off('data', hear).off('end', ended).off('close', ended).off('error', broke)
      end()
    }
    const hear = (chunk: Buffer) => {
      text += chunk.toString('latin1', 0, MAX_GREETING - text.length)
      const full = text.length >= MAX_GREETING
      const lines = text.split('\n').map(line => line.replace(/\r$/, ''))
      // What stands behind the last line break is still on its way.
      const rest = lines.pop() ?? ''
      const first = lines[0] ?? (full ? rest : undefined)
      if (first === undefined) return
      const banner = showForeign(first, MAX_SHOWN)
      if (!alive.test(first)) {
        const error = new KeytoolError('damaged', 'it does not greet as expected', {
          reason: `it says ${banner || 'nothing'}`,
        })
        return settle(() => reject(error))
      }
      const whole = lines.some(line => last.test(line))
      if (whole || full) settle(() => resolve({ banner, whole }))
    }
    const ended = () => settle(() => reject(new KeytoolError('unreachable', 'it hangs up without a greeting')))
    const broke = (cause: Error) =>
      settle(() => reject(new KeytoolError('unreachable', 'it breaks off without a greeting', { cause })))
    stream.on('data', hear).on('end', ended).on('close', ended).on('error', broke)
    if (stream.destroyed) ended()
  })
}
