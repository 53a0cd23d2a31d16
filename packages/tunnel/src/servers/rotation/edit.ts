import { setTimeout as sleep } from 'node:timers/promises'
import { KeytoolError, showForeign } from '@keytool/keygen'
import type { KeyFile } from '../key-file.js'

/** How often somebody else may write the file between our look and ours. */
const TRIES = 20
/** Up to twice this is waited then, in milliseconds. */
const PAUSE = 20

/**
 * Changes the file in the place of what was looked at, and no other: what is written down beforehand is what is done then.
 * @param prepare looks at the file, and writes down what is about to be done; `undefined` when nothing is to be changed
 * @throws KeytoolError `failed` when others write it all the time; what `prepare` throws; as `KeyFile`
 */
export async function editInPlace(
  file: KeyFile,
  prepare: (bytes: Buffer) => Promise<Buffer | undefined>,
): Promise<void> {
  for (let left = TRIES; left > 0; left--) {
    const before = await file.read()
    const after = await prepare(before)
    if (!after || (await file.replace(before, after))) return
    await sleep(PAUSE * (1 + Math.random()))
  }
  throw new KeytoolError('failed', `${showForeign(file.path)} can't be changed: another program keeps writing it`, {
    reason: 'it is as it was',
    hint: 'try again',
  })
}
