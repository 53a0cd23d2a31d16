import { writeWhole } from '@keytool/agent/platform'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Context } from './context.js'

export interface Output {
  /** Where to; standard output without it. */
  readonly path: string | undefined
  readonly mode: number
  readonly force: boolean
}

/** Writes a command's result to the file that was named, whole or not at all, or to standard output. */
export async function writeResult(bytes: Uint8Array, { path, mode, force }: Output, context: Context): Promise<void> {
  if (path === undefined || path === '-') {
    context.say.data(bytes)
    return
  }
  try {
    await writeWhole(path, bytes, { mode, replace: force })
  } catch (error) {
    throw isKeytoolError(error) && error.code === 'exists' ? alreadyThere(path, error) : error
  }
}

/** A file that is in the way, and what to do about it. */
export function alreadyThere(path: string, cause?: unknown): KeytoolError {
  return new KeytoolError('exists', `${path} is there already`, {
    reason: 'nothing was written',
    hint: 'to replace it: --force',
    cause,
  })
}
