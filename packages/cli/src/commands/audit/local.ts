import { findWeaknesses, fingerprint, type PublicKey } from '@keytool/keygen'
import type { Context } from '../../context.js'
import { forEach } from '../../each.js'
import { isThere } from '../../files.js'
import { keyFacts } from '../../key-facts.js'
import { heldKeys, openAgents } from './agents.js'
import type { Audited } from './audited.js'
import { type Finding, needAttention } from './finding.js'
import { judgeFile, judgeMissing, judgePlace, type Surroundings } from './judge.js'
import { findKeyFiles, hasPrivateHalf, isOfKey, type KeyFileFound, type PlaceFound, usualPlaces } from './key-files.js'
import { lastSignature, readSignatures } from './ledger-uses.js'
import { type NamedFile, readSettings } from './named-files.js'
import { showLocal } from './show-local.js'

/**
 * Judges the keys of this machine.
 * @param paths files and folders; without any, where keys of this user's lie as a rule, and their agents
 * @returns the exit status
 */
export async function auditLocal(paths: readonly string[], strict: boolean, context: Context): Promise<number> {
  const { files: named } = await readSettings(context)
  const isWhole = paths.length === 0
  const files: KeyFileFound[] = []
  const others: PlaceFound[] = []
  const look = async (places: readonly string[], by: 'name' | 'chance') => {
    const found = await findKeyFiles(places, by)
    files.push(...found.files)
    others.push(...found.others)
  }
  const usual = await usualPlaces(
    context,
    named.map(({ path }) => path),
  )
  if (isWhole) await look(usual, 'chance')
  const status = await forEach(paths, context, path => look([path], 'name'))
  const uses = readSignatures(context)
  const held = await readHeld(context)
  const lastUse = (key: PublicKey) => lastSignature(uses, key)
  const around: Surroundings = { files, held, lastUse, now: new Date(), uid: process.getuid?.(), context }
  const audited = [
    ...judgePlaces(others, around),
    ...(await judgeFiles(around)),
    ...(isWhole ? [...(await findMissing(named)), ...(await judgeHeld(around))] : []),
  ]
  showLocal(audited, context)
  context.say.facts(audited.map(toFacts))
  return status || (strict && needAttention(audited) ? 1 : 0)
}

/** Of folders only those that there is something to be said of. */
function judgePlaces(others: readonly PlaceFound[], around: Surroundings): Audited[] {
  return others
    .map(({ path, kind, ...place }) => ({ path, kind, findings: judgePlace({ path, kind, ...place }, around) }))
    .filter(({ findings }) => findings.length > 0)
}

async function judgeFiles(around: Surroundings): Promise<Audited[]> {
  const audited: Audited[] = []
  for (const file of around.files) {
    const { path, what } = file
    const key = what.public
    const isHeld = key && around.held.some(({ blob }) => blob.equals(key.plain.blob))
    const facts = key && { key, isHeld: isHeld === true, lastUse: around.lastUse(key) }
    audited.push({ path, kind: what.kind, file, ...facts, findings: await judgeFile(file, around) })
  }
  return audited
}

/** Files that sessions and rules name, and that are not there. */
async function findMissing(named: readonly NamedFile[]): Promise<Audited[]> {
  const audited: Audited[] = []
  for (const { path, by } of named) {
    if (!(await isThere(path))) audited.push({ path, kind: 'missing', findings: [judgeMissing(by)] })
  }
  return audited
}

/** The keys of all agents, each once, without certificates. */
async function readHeld(context: Context): Promise<readonly PublicKey[]> {
  const keys = new Map<string, PublicKey>()
  for (const agent of await openAgents(context)) {
    for (const key of await heldKeys(agent)) keys.set(fingerprint(key), key)
    agent.close()
  }
  return [...keys.values()]
}

/** What an agent holds besides the files that were looked at. */
async function judgeHeld(around: Surroundings): Promise<Audited[]> {
  const orphaned: Finding = {
    code: 'orphaned',
    severity: 'note',
    text: 'an agent holds it, and it lies in none of the places looked at',
  }
  const audited: Audited[] = []
  for (const key of around.held) {
    if (around.files.some(file => file.what.kind === 'private' && isOfKey(file, key))) continue
    const findings = [...(await findWeaknesses(key)), ...(hasPrivateHalf(around.files, key) ? [] : [orphaned])]
    audited.push({ kind: 'agent', key, isHeld: true, lastUse: around.lastUse(key), findings })
  }
  return audited
}

/** One element of `audit --json`. */
function toFacts({ path, kind, key, file, isHeld, lastUse, findings }: Audited): object {
  const what = file?.what
  return {
    path: path ?? null,
    kind,
    ...(what && { format: what.format }),
    ...(key && keyFacts(key)),
    ...(what?.kind === 'private' && { encrypted: what.encrypted }),
    ...(key && { agent: isHeld === true, lastUse: lastUse?.toISOString() ?? null }),
    findings,
  }
}
