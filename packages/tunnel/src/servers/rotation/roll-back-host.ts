import { KeytoolError, showForeign } from '@keytool/keygen'
import type { HostResult, HostRotation } from './door.js'
import { editInPlace } from './edit.js'
import type { HostRecord } from './journal.js'
import { withOldLines, withoutAdded } from './lines.js'
import { explain, noteIfNew, signerOf, walk } from './rotate-host.js'
import { isGoingBack, meanings } from './states.js'

/**
 * Takes the rotation back on one host: the old key's lines are put where they stood, the old key is proved alone, then the
 * lines that the rotation added are removed over a connection that the old key alone has opened. At every moment one of the
 * two keys lets the user in. The new key stays where it stood before.
 * @throws KeytoolError as `rotateHost`; `not-found` when the old key's private half is not here: both keys stay then
 */
export async function rollBackHost(rotation: HostRotation): Promise<HostResult> {
  const { record, note } = rotation
  if (record.state === 'start' || (record.old.length === 0 && record.added.length === 0)) {
    return { record: await note({ state: 'rolled-back' }) }
  }
  // Whatever the way there had come to, the first step back looks at the file itself.
  const first = isGoingBack(record.state) ? record : { ...record, state: 'restoring' as const }
  return walk(steps, rotation, first)
}

const steps = {
  restoring: restoreOld,
  'old-restored': proveOld,
  'old-verified': takeNewAway,
  'taking-back': takeNewAway,
  'new-removed': proveNewRefused,
} as const

async function restoreOld({ keys, door, note }: HostRotation, first: HostRecord): Promise<HostResult> {
  const file = await door.file()
  let record = first
  await editInPlace(file, async bytes => {
    const after = withOldLines(bytes, keys.old, record.old, record.added)
    record = await note({ state: 'restoring' })
    return after
  })
  return { record: await note({ state: 'old-restored' }) }
}

async function proveOld({ keys, door, note }: HostRotation, record: HostRecord): Promise<HostResult> {
  await door.fileBy(signerOf(keys.oldSigner, 'old')).catch(error => {
    throw explain(error, 'old', meanings['old-restored'])
  })
  if (record.added.length === 0) return { record: await note({ state: 'rolled-back' }) }
  return { record: await note({ state: 'old-verified' }) }
}

/** Over the old key's own connection: one that does not let us in takes nothing away. */
async function takeNewAway({ keys, door, note }: HostRotation, first: HostRecord): Promise<HostResult> {
  const file = await door.fileBy(signerOf(keys.oldSigner, 'old')).catch(error => {
    throw explain(error, 'old', meanings[first.state])
  })
  let record = first
  let isWhole = true
  await editInPlace(file, async bytes => {
    isWhole = withOldLines(bytes, keys.old, record.old, record.added) === undefined
    const after = isWhole ? withoutAdded(bytes, keys.new, record.added, record.old) : undefined
    if (after) record = await noteIfNew(note, record, { state: 'taking-back' })
    return after
  })
  return { record: await note({ state: isWhole ? 'new-removed' : 'restoring' }) }
}

async function proveNewRefused({ keys, door, note }: HostRotation, record: HostRecord): Promise<HostResult> {
  if (record.before.length === 0) {
    const admitted = await door.admits(keys.new, keys.newSigner)
    if (admitted) throw stillIn(admitted.admittedBy)
  }
  return { record: await note({ state: 'rolled-back' }) }
}

function stillIn(by: HostResult['admittedBy']): KeytoolError {
  const where = by ? `: ${showForeign(by.path)} line ${by.line}` : ''
  return new KeytoolError('failed', `the new key is let in all the same${where}`, {
    reason: `${meanings['new-removed']}; the rest is as it was`,
    hint: 'take it out there on the server',
  })
}
