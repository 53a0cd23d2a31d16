import { nameOfHost } from '@keytool/keygen'
import { matching } from './entries.js'
import { removalOf, removeName } from './removal.js'
import { rewriteOwn } from './rewrite.js'
import { describeEntry, type KnownHost, type KnownHosts } from './store.js'
import { inTurn } from './turn.js'

export interface Forgotten {
  /** Lines that no longer name the host, where they stood. */
  readonly removed: readonly KnownHost[]
  /** Lines that are about it still: patterns, authorities, revoked keys, and those of the system's files. */
  readonly left: readonly KnownHost[]
  /** Where the files are kept as they were. */
  readonly old: readonly string[]
}

/**
 * Removes a host's keys from the user's files, as `ssh-keygen -R` does, and keeps each changed file as `FILE.old`. More careful
 * than that: a line with other names keeps them, one that is about the host by a pattern stays, and so does every line that
 * can't be read, byte for byte.
 * @throws KeytoolError `damaged` for a file that is no text; `refused` for one that is no plain file or is another user's;
 * `failed` when it can't be changed
 */
export async function forgetHost(knownHosts: KnownHosts, host: string, port: number): Promise<Forgotten> {
  const name = nameOfHost(host, port)
  const about = matching(await knownHosts.entries(), name)
  const isRemovable = (entry: (typeof about)[number]) =>
    entry.isOwn && entry.marker === undefined && removalOf(entry.hosts, name) !== 'none'
  const gone = about.filter(isRemovable)
  const old: string[] = []
  await inTurn(async () => {
    if (knownHosts.isReadOnly) return
    for (const path of new Set(gone.map(entry => entry.path))) {
      if (await rewriteOwn(path, bytes => removeName(bytes, name, () => true), { keepOld: true }))
        old.push(`${path}.old`)
    }
  })
  const left = await knownHosts.list(host, port)
  return { removed: gone.map(describeEntry), left, old }
}
