import { isKeytoolError, KeytoolError, showForeign } from '@keytool/keygen'
import { findLines } from '../authorized-keys.js'
import type { HostResult, HostRotation } from './door.js'
import { editInPlace } from './edit.js'
import type { HostRecord } from './journal.js'
import { planAdding, withEndsBefore, withoutKey } from './lines.js'
import { type HostState, isGoingBack, meanings } from './states.js'

/** How often it may begin anew because somebody else changes the file. */
const MAX_STEPS = 24

/** @returns what is known of the host then; its state says which step is next */
type Step = (rotation: HostRotation, record: HostRecord) => Promise<HostResult>

/** Which step leads on from where. States that are not here are the end of it. */
const steps: Readonly<Partial<Record<HostState, Step>>> = {
  start: addNew,
  adding: addNew,
  'new-added': proveNew,
  'new-verified': removeOld,
  removing: removeOld,
  'old-removed': proveOldRefused,
}

/**
 * Puts the new key beside the old one on one host, proves it alone, removes the old one over a connection that the new one
 * alone has opened, and proves that the old one is refused. Goes on from wherever it was left; at every moment one of the two
 * keys lets the user in.
 * @throws KeytoolError `not-found` when neither key is there; `refused` when the new one is there with other options, or
 * the host is on its way back; `secret-wrong` when a server refuses the new key; as `connect` and `KeyFile`. What was
 * written down by then holds.
 */
export async function rotateHost(rotation: HostRotation): Promise<HostResult> {
  if (isGoingBack(rotation.record.state)) {
    throw new KeytoolError('refused', 'the rotation is being taken back on this host', {
      hint: 'keytool rotate --rollback finishes that',
    })
  }
  // What was let in from elsewhere may be so no more, or stand in the file again.
  const resumed = rotation.record.state === 'still-admitted' ? 'new-added' : rotation.record.state
  return walk(steps, rotation, { ...rotation.record, state: resumed })
}

/** Takes one step after the other, until there is none from where it has come. */
export async function walk(
  table: Readonly<Partial<Record<HostState, Step>>>,
  rotation: HostRotation,
  first: HostRecord,
): Promise<HostResult> {
  let result: HostResult = { record: first }
  for (let left = MAX_STEPS; left > 0; left--) {
    const step = table[result.record.state]
    if (!step) return result
    result = await step(rotation, result.record)
  }
  throw new KeytoolError('failed', 'the file is changed by somebody else all the time', {
    reason: meanings[result.record.state],
    hint: 'try again',
  })
}

async function addNew({ keys, door, note }: HostRotation, first: HostRecord): Promise<HostResult> {
  const file = await door.file()
  let record = first
  await editInPlace(file, async bytes => {
    const { old: now, before, added, isThere, after } = planAdding(bytes, keys.old, keys.new, record.added)
    const old = record.state === 'start' ? now : withEndsBefore(now, record.old)
    if (old.length === 0) {
      if (isThere) return undefined
      throw absent(file.path)
    }
    record = await noteIfNew(note, record, { state: 'adding', path: file.path, old, before, added })
    return after
  })
  if (findLines(await file.read(), keys.new).length === 0) throw notFoundAgain(file.path)
  return { record: await note({ state: 'new-added', path: file.path }) }
}

async function proveNew({ keys, door, note }: HostRotation): Promise<HostResult> {
  await door.fileBy(signerOf(keys.newSigner, 'new')).catch(error => {
    throw explain(error, 'new', meanings['new-added'])
  })
  return { record: await note({ state: 'new-verified' }) }
}

/** Over the new key's own connection: one that does not let us in removes nothing. */
async function removeOld({ keys, door, note }: HostRotation, first: HostRecord): Promise<HostResult> {
  const file = await door.fileBy(signerOf(keys.newSigner, 'new')).catch(error => {
    throw explain(error, 'new', meanings[first.state])
  })
  let record = first
  let isCovered = true
  await editInPlace(file, async bytes => {
    const { old, isThere, after } = planAdding(bytes, keys.old, keys.new, record.added)
    // Somebody gave the old key another line meanwhile, or took the new one's away.
    isCovered = after === undefined && isThere
    if (!isCovered || old.length === 0) return undefined
    record = await noteIfNew(note, record, { state: 'removing', old: withEndsBefore(old, record.old) })
    return withoutKey(bytes, keys.old)
  })
  if (!isCovered) return { record: await note({ state: 'start' }) }
  if (findLines(await file.read(), keys.old).length > 0) return { record: await note({ state: 'new-verified' }) }
  return { record: await note({ state: 'old-removed' }) }
}

async function proveOldRefused({ keys, door, note }: HostRotation): Promise<HostResult> {
  const admitted = await door.admits(keys.old, keys.oldSigner)
  if (!admitted) return { record: await note({ state: 'done' }) }
  return { record: await note({ state: 'still-admitted' }), ...admitted }
}

/** What is on disk already is not written again. */
export async function noteIfNew(
  note: HostRotation['note'],
  record: HostRecord,
  change: Partial<HostRecord>,
): Promise<HostRecord> {
  const isKnown = Object.entries(change).every(
    ([name, value]) => JSON.stringify(record[name as keyof HostRecord]) === JSON.stringify(value),
  )
  return isKnown ? record : note(change)
}

/** @throws KeytoolError `not-found` where only the public half is here */
export function signerOf<T>(signer: T | undefined, which: 'old' | 'new'): T {
  if (signer) return signer
  throw new KeytoolError('not-found', `the ${which} key can't be proved: its private half is not here`, {
    hint: 'load it into the agent, or name its file',
  })
}

/** A refused key, with what stands on the host then. */
export function explain(error: unknown, which: 'old' | 'new', stands: string): unknown {
  if (!isKeytoolError(error) || error.code !== 'secret-wrong') return error
  return new KeytoolError('secret-wrong', `the ${which} key alone is not let in`, {
    reason: [stands, error.reason].filter(Boolean).join('; '),
    ...(error.hint !== undefined && { hint: error.hint }),
    cause: error,
  })
}

function absent(path: string): KeytoolError {
  return new KeytoolError('not-found', `the old key is not in ${showForeign(path)}`, {
    reason: 'nor is the new one; nothing was changed',
    hint: 'keytool install-pubkey puts a key there',
  })
}

function notFoundAgain(path: string): KeytoolError {
  return new KeytoolError('failed', `the new key was written to ${showForeign(path)}, but is not found there`, {
    reason: 'the old one was left alone',
    hint: 'look whether the file is kept by another program',
  })
}
