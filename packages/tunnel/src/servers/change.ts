import { setTimeout as sleep } from 'node:timers/promises'
import { KeytoolError, showForeign } from '@keytool/keygen'
import type { KeyFile } from './key-file.js'

/** How often others may be there first. */
const TRIES = 50
/** Before the next try, in milliseconds: longer each time, so that many who want the same find an order. */
const FIRST_PAUSE = 50
const LONGEST_PAUSE = 800

/** How to pause; for tests. */
export interface ChangeOptions {
  readonly pause?: (milliseconds: number) => Promise<unknown>
  readonly random?: () => number
}

/**
 * Reads the file, edits it, puts the result in its place, and reads it again. When somebody else changed it meanwhile, all
 * of it anew, so that neither's work is lost.
 * @param edit what is to stand there; `undefined`, or what stands there already, for nothing to do. May be called several
 * times, and what it throws leaves the file as it is
 * @returns what stands there now
 * @throws KeytoolError as {@link KeyFile.read} and {@link KeyFile.replace} do; `failed` when others change it all the time
 */
export async function changeKeyFile(
  file: KeyFile,
  edit: (bytes: Buffer) => Buffer | undefined,
  options: ChangeOptions = {},
): Promise<Buffer> {
  const { pause = sleep, random = Math.random } = options
  for (let tries = 1; tries <= TRIES; tries++) {
    const before = await file.read()
    const after = edit(before)
    if (after === undefined || after.equals(before)) return before
    if (await file.replace(before, after)) return await file.read()
    await pause(Math.min(FIRST_PAUSE * 2 ** (tries - 1), LONGEST_PAUSE) * (0.5 + random()))
  }
  throw new KeytoolError('failed', `${showForeign(file.path)} is changed by others all the time`, {
    reason: `${TRIES} tries; nothing of ours was written`,
    hint: 'try again',
  })
}
