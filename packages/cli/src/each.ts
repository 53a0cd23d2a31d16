import { isKeytoolError } from '@keytool/keygen'
import type { Context } from './context.js'
import { exitStatus } from './exit.js'

/**
 * Does the same with every word. One that fails is said and the others go on; the status is the first failure's.
 * Ctrl-C ends it all.
 */
export async function forEach(
  words: readonly string[],
  context: Context,
  work: (word: string) => Promise<void>,
): Promise<number> {
  let status = 0
  for (const word of words) {
    try {
      await work(word)
    } catch (error) {
      if (!isKeytoolError(error) || error.code === 'cancelled') throw error
      context.say.error(error)
      status ||= exitStatus[error.code]
    }
  }
  return status
}
