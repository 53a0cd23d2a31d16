import { writeWhole } from '@keytool/agent/platform'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import type { Context } from './context.js'

export interface Output {
  /** Where to; standard output without it. */
  readonly path: string | undefined
  readonly mode: number
  readonly force: boolean
  /** Looks at what was read back from the disk, before the file takes its name. */
  readonly check?: (bytes: Buffer) => Promise<void>
}

/** Writes a command's result to the file that was named, whole or not at all, or to standard output. */
export async function writeResult(bytes: Uint8Array, output: Output, context: Context): Promise<void> {
  const { path, mode, force, check } = output
  if (path === undefined || path === '-') {
    context.say.data(bytes)
    return
  }
  try {
    await writeWhole(path, bytes, { mode, replace: force, ...(check && { check }) })
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
