import { unlink } from 'node:fs/promises'
import { readIfThere } from '@keytool/agent/platform'
import { fingerprint, nameOfHost, showForeign } from '@keytool/keygen'
import { knownAs, removeName, rewriteOwn } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { isThere } from '../../files.js'
import { policyFor } from '../../hosts-of.js'
import type { Destination } from '../../reach.js'
import type { Job, Step, Undoing } from '../job.js'
import { hashOf, sumOf, withoutAddedEnd } from '../original.js'
import { type Facts, type Made, textIn } from '../record.js'

/** The server's key in known_hosts. Its other keys join it later, by the connections of the tunnel. */
export const hostStep: Step = {
  name: 'host',
  title: 'host key',
  async look({ entry, destination, context }) {
    const { knownHosts, name } = placeOf(destination, context)
    const known = await knownHosts.typesFor(name.host, name.port)
    const key = entry?.newHostKey
    if (key && known.length === 0) {
      return { state: 'to-do', text: `${key.algorithm.label} ${fingerprint(key)} would be noted` }
    }
    const isByAuthority = known.length === 0 && (await knownHosts.authoritiesFor(name.host, name.port))
    if (!entry && known.length === 0 && !isByAuthority) return { state: 'to-do', text: 'would be asked about' }
    return { state: 'done', text: 'is known' }
  },
  async apply({ entry, record, destination, context, knownBefore }) {
    const key = entry?.newHostKey
    const { knownHosts, name } = placeOf(destination, context)
    const path = knownHosts.files[0]
    if (!key || path === undefined) return 'is known'
    if (!record.madeBy('host')) {
      await record.note('host', { state: 'begun', facts: { ...knownBefore, isNew: true } })
    }
    await knownHosts.remember(name.host, name.port, key.blob)
    const { facts } = record.madeBy('host') ?? { facts: {} }
    await record.note('host', { state: 'done', facts })
    return `${key.algorithm.label} ${fingerprint(key)}, noted in ${context.say.path(path)}`
  },
  undo: forget,
  foretell: ({ record, context }) => `its lines in ${pathOf(record.madeBy('host'), context)} would be removed`,
}

/** For a host that was known before: what its tunnel adds to the file is to go again, and nothing else. */
export async function noteKnownHosts({ record, knownBefore }: Job): Promise<void> {
  if (record.madeBy('host') || knownBefore['path'] === undefined) return
  await record.note('host', { state: 'done', facts: { ...knownBefore, isNew: false } })
}

/**
 * known_hosts before anybody is met: what it is known by again, and which hosts on the way it does not have yet, whose keys
 * are noted as they are met.
 */
export async function factsOfKnownHosts(destination: Destination, context: Context): Promise<Facts> {
  const [path] = placeOf(destination, context).knownHosts.files
  if (path === undefined) return {}
  const unknown: string[] = []
  for (const hop of destination.hops) {
    const { knownHosts, name } = placeOf(hop, context)
    if (knownHosts.files[0] !== path || (await knownHosts.list(name.host, name.port)).length > 0) continue
    unknown.push(nameOfHost(name.host, name.port))
  }
  const bytes = await readIfThere(path)
  return { path, there: bytes !== undefined, hops: unknown.join(' '), ...sumOf(bytes ?? Buffer.alloc(0)) }
}

function placeOf(destination: Destination, context: Context) {
  const policy = policyFor(destination, {}, context)
  return { knownHosts: policy.knownHosts, name: knownAs(policy, destination.host, destination.port) }
}

function pathOf(made: Made | undefined, { say }: Context): string {
  return made ? say.path(textIn(made, 'path')) : ''
}

async function forget({ record, destination, context, others }: Undoing): Promise<string> {
  const made = record.madeBy('host')
  if (!made) return 'was not noted by setup'
  const path = textIn(made, 'path')
  const shown = context.say.path(path)
  const { name, knownHosts } = placeOf(destination, context)
  if (!knownHosts.files.includes(path)) return `${shown} stays as it is: known hosts are kept elsewhere now`
  const named = nameOfHost(name.host, name.port)
  const isChanged = await rewriteOwn(path, bytes => withoutHost(bytes, named, made))
  await removeEmptied(path, made)
  await leaveTo(others, path, made)
  if (isChanged) return `the lines about ${showForeign(named)} in ${shown} are removed`
  return made.facts['isNew'] === true ? `${shown} had no line about it any more` : `${shown} is as it was`
}

/**
 * The file as it was, where only lines about these hosts were added at its end. Else without the lines about those that setup
 * was the first to note.
 */
function withoutHost(bytes: Buffer, name: string, made: Made): Buffer | undefined {
  const { size, sha256, isNew, hops } = made.facts
  const onTheWay = typeof hops === 'string' ? hops.split(' ').filter(each => each !== '') : []
  const before = bytes.subarray(0, Number(size))
  if (bytes.length > before.length && hashOf(before) === sha256) {
    const added = without(bytes.subarray(before.length), [name, ...onTheWay])
    if (added.toString('latin1').trim() === '') return before
  }
  const rest = without(bytes, isNew === true ? [name, ...onTheWay] : onTheWay)
  return rest.equals(bytes) ? undefined : withoutAddedEnd(rest, made)
}

function without(bytes: Buffer, names: readonly string[]): Buffer {
  return names.reduce((left, name) => removeName(left, name, () => true) ?? left, bytes)
}

/** A file that was made here goes with the last host in it. */
async function leaveTo(others: Undoing['others'], path: string, { facts }: Made): Promise<void> {
  if (facts['there'] !== false || !(await isThere(path))) return
  for (const other of others) {
    const theirs = other.madeBy('host')
    if (theirs?.facts['path'] !== path) continue
    await other.note('host', { ...theirs, facts: { ...theirs.facts, there: false } })
    return
  }
}

/** The file itself goes where there was none and nothing is left in it. */
async function removeEmptied(path: string, { facts }: Made): Promise<void> {
  if (facts['there'] !== false) return
  const bytes = await readIfThere(path)
  if (bytes?.length === 0) await unlink(path)
}
