import { setTimeout as sleep } from 'node:timers/promises'
import { isKeytoolError } from '@keytool/keygen'

/** How long is waited for room, in milliseconds: each time longer. */
const PAUSES: readonly number[] = [20, 80, 250, 600]

/**
 * Why a server does not open a session that it would give later (RFC 4254 section 5.1): OpenSSH's says the one of too many
 * sessions, others that their means are used up.
 */
const FULL: ReadonlySet<unknown> = new Set([2, 4])

/**
 * Opens a session, and tries again where the server has no room for it. One that lets few stand at a time (MaxSessions)
 * counts one that has just ended for a moment longer, so that the second of two in a row may come too early.
 * @param open has done nothing there when it fails so
 * @throws what `open` throws the last time, or for any other reason
 */
export async function openWhenRoom<T>(
  open: () => Promise<T>,
  pause: (milliseconds: number) => Promise<unknown> = sleep,
): Promise<T> {
  for (const wait of PAUSES) {
    try {
      return await open()
    } catch (error) {
      if (!isFull(error)) throw error
      await pause(wait)
    }
  }
  return open()
}

function isFull(error: unknown): boolean {
  if (!isKeytoolError(error) || typeof error.cause !== 'object' || error.cause === null) return false
  return 'reason' in error.cause && FULL.has(error.cause.reason)
}
