import { lstat, readdir, rm, rmdir } from 'node:fs/promises'
import { basename, dirname, join, sep } from 'node:path'
import { ledgerFolder, readLedger } from '@keytool/agent'
import type { Context } from '../context.js'

/** Folders that setup, the agent or a tunnel may make, which are not there yet: the outer ones first. */
export async function missingFolders(context: Context): Promise<string[]> {
  const leftOver = await leftOverFolders(context)
  const missing: string[] = []
  for (const folder of foldersOf(context)) {
    if (leftOver.includes(folder) || !(await isThere(folder))) missing.push(folder)
  }
  return missing
}

/** What a setup has made for its lock that was ended before its record was there: nothing else is in these. */
async function leftOverFolders({ places: { home, state } }: Context): Promise<string[]> {
  const found: string[] = []
  let within: string | undefined
  for (let folder = join(state, 'setup'); folder !== home && folder !== dirname(folder); folder = dirname(folder)) {
    const names = await readdir(folder).catch(() => undefined)
    const isOurs = (name: string) => name === within || (within === undefined && LOCK.test(name))
    if (names && (names.length === 0 ? folder.startsWith(state) : names.every(isOurs))) found.push(folder)
    else if (names) break
    within = basename(folder)
  }
  return found
}

/** The lock, and what is left of one that was being taken. */
const LOCK = /^\.{1,2}lock(\.|$)/

/** All that it may be about, down from the home, or from the root where that is not above; the outer ones first. */
function foldersOf({ places }: Context): string[] {
  const { home, ssh, config, state, runtime } = places
  const wanted = [
    ssh,
    join(config, 'sessions'),
    join(state, 'setup'),
    join(state, 'tunnels', 'login'),
    dirname(ledgerFolder(places)),
    join(runtime, 'tunnels'),
  ]
  const folders = new Set<string>()
  for (const folder of wanted) {
    for (let each = folder; each !== home && each !== dirname(each); each = dirname(each)) folders.add(each)
  }
  return [...folders].sort((one, other) => one.split(sep).length - other.split(sep).length)
}

/** What the agent keeps of what it does, and is not there yet. */
export async function missingTraces(context: Context): Promise<string[]> {
  const missing: string[] = []
  for (const path of tracesOf(context)) if (!(await isThere(path))) missing.push(path)
  return missing
}

function tracesOf({ places }: Context): string[] {
  return [ledgerFolder(places), join(places.state, 'order.json')]
}

/**
 * Removes what the agent has kept since, as far as it began with setup and is about setup's key alone: a ledger that tells
 * of other keys is its user's.
 * @returns what stays
 */
export async function removeTraces(
  traces: readonly string[],
  fingerprint: string | undefined,
  context: Context,
): Promise<string[]> {
  const known = tracesOf(context).filter(path => traces.includes(path))
  const there: string[] = []
  for (const path of known) if (await isThere(path)) there.push(path)
  if (there.length === 0) return []
  if (!isAboutAlone(fingerprint, context)) return there
  for (const path of there) await rm(path, { recursive: true, force: true })
  return []
}

function isAboutAlone(fingerprint: string | undefined, { places }: Context): boolean {
  try {
    const { entries, unreadable } = readLedger({ folder: ledgerFolder(places) })
    return unreadable === 0 && entries.every(({ key }) => key === undefined || key === fingerprint)
  } catch {
    return false
  }
}

/** Removes those of the folders that are setup's to make and empty, the inner ones first; others stay. */
export async function removeEmpty(folders: readonly string[], context: Context): Promise<void> {
  const known = foldersOf(context).filter(folder => folders.includes(folder))
  for (const folder of known.reverse()) await rmdir(folder).catch(() => undefined)
}

export async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
