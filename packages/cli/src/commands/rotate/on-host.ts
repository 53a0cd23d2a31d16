import { isKeytoolError, KeytoolError, type PublicKey, type Signer, showForeign } from '@keytool/keygen'
import {
  type Connection,
  explainRefusal,
  type HeldJournal,
  type HostRecord,
  type HostResult,
  type HostState,
  isGoingBack,
  meanings,
  openDoor,
  openKeyFile,
  planAdding,
  type RotationDoor,
  rollBackHost,
  rotateHost,
} from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { exitStatus } from '../../exit.js'
import { type HostOutcome, type Member, nameMember } from '../../fleet/member.js'
import { onServer } from '../../fleet/on-server.js'
import { idOf } from './members.js'
import type { RotateOptions } from './options.js'
import type { Pair } from './pair.js'

export interface Rotation {
  readonly pair: Pair
  readonly journal: HeldJournal
  readonly options: RotateOptions
}

/**
 * One host's part. What is done already is not done again. What goes wrong is said; how far the host has come is its outcome.
 */
export async function rotateOn(member: Member, rotation: Rotation, context: Context): Promise<HostOutcome> {
  const id = idOf(member.destination)
  const known = (): HostRecord => recordOf(rotation.journal, id)
  try {
    return outcomeOf(member, await goOn(member, rotation, id, context))
  } catch (error) {
    if (!isKeytoolError(error) || error.code === 'cancelled' || context.leaving?.aborted) throw error
    const { state } = known()
    context.say.error(withStanding(error, state))
    const stands = state === 'start' ? '' : `: ${meanings[state]}`
    const detail = `${showForeign(error.message)}${stands}`
    return { ...nameMember(member), state: state === 'start' ? 'failed' : state, code: exitStatus[error.code], detail }
  }
}

async function goOn(member: Member, rotation: Rotation, id: string, context: Context): Promise<HostResult> {
  const { pair, journal } = rotation
  const first = recordOf(journal, id)
  if (first.state === 'done' || first.state === 'rolled-back') return { record: first }
  const note = async (change: Partial<HostRecord>): Promise<HostRecord> => {
    await journal.change(current => ({
      ...current,
      hosts: current.hosts.map(host => (host.id === id ? { ...host, ...change } : host)),
    }))
    const record = recordOf(journal, id)
    context.say.transient(doing[record.state] ?? '')
    return record
  }
  const isBack = isGoingBack(first.state)
  // Nothing was changed there, so nobody has to go there.
  if (isBack && first.old.length === 0 && first.added.length === 0)
    return { record: await note({ state: 'rolled-back' }) }
  const keys = { old: pair.old.key, new: pair.new.key, oldSigner: pair.old.signer, newSigner: pair.new.signer }
  return enter(member, rotation, first, context, async server => {
    const door = openDoor(server)
    try {
      // Where the server had no room in the middle of it, this is not the first time.
      return await (isBack ? rollBackHost : rotateHost)({ keys, door, record: recordOf(journal, id), note })
    } catch (error) {
      throw await whyRefused(error, server.connection, door, isBack ? keys.old : keys.new)
    } finally {
      await door.close()
    }
  })
}

/** A key that stands in the file and is not let in: what can be seen of the cause there. */
async function whyRefused(
  error: unknown,
  connection: Connection,
  door: RotationDoor,
  key: PublicKey,
): Promise<unknown> {
  if (!isKeytoolError(error) || error.code !== 'secret-wrong') return error
  const report = await door
    .file()
    .then(file => explainRefusal(connection, file, key))
    .catch(() => undefined)
  if (!report) return error
  return new KeytoolError(error.code, error.message, {
    reason: [error.reason, ...report.evidence].filter(Boolean).join('; '),
    hint: `on the server: ${report.remedy}`,
    cause: error,
  })
}

/** What would be done, without a journal. */
export async function lookAt(
  member: Member,
  pair: Pair,
  options: RotateOptions,
  context: Context,
): Promise<HostOutcome> {
  return enter(member, { pair, options }, undefined, context, async ({ connection }) => {
    const file = await openKeyFile(connection)
    const { old, isThere, after } = planAdding(await file.read(), pair.old.key, pair.new.key, [])
    const path = showForeign(file.path)
    const lines = `${old.length === 1 ? 'line' : 'lines'} ${old.map(({ line }) => line).join(', ')}`
    const named = nameMember(member)
    if (old.length === 0 && isThere) {
      return { ...named, state: 'present', code: 0, detail: `the new key is in ${path}, the old one is not` }
    }
    if (old.length === 0) {
      const detail = `the old key is not in ${path}: nothing would be changed`
      return { ...named, state: 'absent', code: exitStatus['not-found'], detail }
    }
    const how = after ? 'the new key would be put below it, with the same options' : 'the new key is there, too'
    return { ...named, state: 'would-rotate', code: 0, detail: `the old key is in ${path} ${lines}; ${how}` }
  })
}

/** By the key that has to be let in as it stands there, then by the other one. */
async function enter<T>(
  member: Member,
  { pair, options }: Pick<Rotation, 'pair' | 'options'>,
  record: HostRecord | undefined,
  context: Context,
  use: Parameters<typeof onServer<T>>[3],
): Promise<T> {
  const both = oldIsOut.has(record?.state ?? 'start') ? [pair.new, pair.old] : [pair.old, pair.new]
  const signers = [pair.way, ...both.map(({ signer }) => signer)].filter((each): each is Signer => each !== undefined)
  return onServer(member, { options, signers, usualKeys: true }, context, use)
}

const oldIsOut: ReadonlySet<HostState> = new Set(['removing', 'old-removed', 'still-admitted', 'done', 'restoring'])

/** What is being done when this was written down, for the foot of the terminal. */
const doing: Readonly<Partial<Record<HostState, string>>> = {
  adding: 'adding the new key',
  'new-added': 'proving the new key',
  'new-verified': 'removing the old key',
  'old-removed': 'proving that the old key is refused',
  restoring: 'putting the old key back',
  'old-restored': 'proving the old key',
  'old-verified': 'taking the new key out',
}

function recordOf({ current }: HeldJournal, id: string): HostRecord {
  const record = current.hosts.find(host => host.id === id)
  if (record) return record
  throw new KeytoolError('failed', 'the journal has lost a host')
}

function outcomeOf(member: Member, { record, admittedBy }: HostResult): HostOutcome {
  const { state, old, path = '' } = record
  const named = nameMember(member)
  if (state === 'still-admitted') {
    const by = admittedBy ? `by ${showForeign(admittedBy.path)} line ${admittedBy.line}` : 'by something else there'
    const detail = `the new key works; the old one is out of ${showForeign(path)} and let in all the same, ${by}`
    return { ...named, state, code: exitStatus.failed, detail }
  }
  if (state === 'rolled-back') {
    const detail =
      old.length === 0 ? 'nothing had been changed there' : `old key back in ${showForeign(path)}, verified`
    return { ...named, state, code: 0, detail }
  }
  const detail =
    old.length === 0
      ? 'new key verified, old key refused'
      : `new key in ${showForeign(path)}, verified; old key out, refused`
  return { ...named, state, code: 0, detail }
}

/** An error of one host, with what works there now. */
function withStanding(error: KeytoolError, state: HostState): KeytoolError {
  const stands = meanings[state]
  if (state === 'start' || error.reason?.includes(stands)) return error
  return new KeytoolError(error.code, error.message, {
    reason: error.reason === undefined ? stands : `${error.reason}; ${stands}`,
    ...(error.hint !== undefined && { hint: error.hint }),
    cause: error,
  })
}
