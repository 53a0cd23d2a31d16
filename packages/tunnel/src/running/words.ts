import type { StateName } from '../supervisor/states.js'
import type { TunnelStatus } from '../supervisor/tunnel.js'

/** What a tunnel can be asked: one line. The answer is one line of JSON. */
export type Question = 'status' | 'stop'

/** A question's length, in bytes. */
export const MAX_QUESTION = 16
/** An answer's, in bytes: a session has 256 forwards at most. */
export const MAX_ANSWER: number = 1 << 20
/** How long either side waits for the other, in milliseconds. */
export const QUESTION_TIME = 5_000

/** A tunnel that answers, or one that stopped by itself and is remembered for that: then without `pid`. */
export interface RunningTunnel extends Omit<TunnelStatus, 'state'> {
  readonly version: 1
  readonly name: string
  readonly pid: number | null
  readonly state: StateName
}

/** Whether a value has the form of an answer. Only the user's own programs answer, but these may be of another version. */
export function isRunningTunnel(value: unknown): value is RunningTunnel {
  if (typeof value !== 'object' || value === null) return false
  const { version, name, pid, state, since, reconnects, forwards } = value as Partial<
    Record<keyof RunningTunnel, unknown>
  >
  return (
    version === 1 &&
    typeof name === 'string' &&
    (pid === null || typeof pid === 'number') &&
    typeof state === 'string' &&
    typeof since === 'string' &&
    typeof reconnects === 'number' &&
    Array.isArray(forwards) &&
    forwards.every(isForwardStatus)
  )
}

function isForwardStatus(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const given = value as Readonly<Record<string, unknown>>
  const texts = ['kind', 'listen', 'to', 'state'].every(field => typeof given[field] === 'string')
  return texts && ['connections', 'open', 'bytesIn', 'bytesOut'].every(field => typeof given[field] === 'number')
}
