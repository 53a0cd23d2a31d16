import { fingerprint, hideName, isKeytoolError, nameOfHost, type PublicKey, showForeign } from '@keytool/keygen'
import { type CarriedHostKey, readHostKey } from '../config/putty/host-keys.js'
import type { SavedHostKey } from '../config/putty/settings.js'
import { appendToOwn } from '../known-hosts/append.js'
import type { Entry } from '../known-hosts/entries.js'
import { withLines } from '../known-hosts/lines.js'
import type { KnownHosts } from '../known-hosts/store.js'
import { inTurn } from '../known-hosts/turn.js'
import { judge } from '../known-hosts/verdict.js'

export type HostKeyState =
  /** Noted in known_hosts, or it would be. */
  | 'new'
  /** There already. */
  | 'known'
  /** The host is known by another key of this kind, or this very key is revoked: nothing was changed. */
  | 'differs'
  /** The host is known by keys of other kinds, or OpenSSH has no such keys. */
  | 'passed'
  /** Hostile or broken. */
  | 'refused'

export interface ImportedHostKey {
  /** As known_hosts writes it, `[host]:2222`; of one that can't be read what it was called. Safe to show. */
  readonly host: string
  readonly state: HostKeyState
  readonly type?: string
  readonly fingerprint?: string
  readonly reason?: string
}

interface Grouped {
  readonly host: string
  readonly port: number
  readonly keys: PublicKey[]
}

/**
 * Notes foreign host keys in known_hosts, all in one write, for hosts that are not known yet: what is known is neither added
 * to nor changed.
 * @throws KeytoolError as {@link KnownHosts.lookup} and {@link KnownHosts.remember}
 */
export async function importHostKeys(
  saved: readonly SavedHostKey[],
  knownHosts: KnownHosts,
  { dryRun = false }: { readonly dryRun?: boolean } = {},
): Promise<ImportedHostKey[]> {
  const results: ImportedHostKey[] = []
  const hosts = new Map<string, Grouped>()
  for (const each of saved) {
    const found = read(each)
    if ('state' in found) {
      results.push(found)
      continue
    }
    const name = nameOfHost(found.host, found.port)
    const group = hosts.get(name) ?? { host: found.host, port: found.port, keys: [] }
    hosts.set(name, group)
    if (!group.keys.some(key => key.equals(found.key))) group.keys.push(found.key)
  }
  // Read once: all are looked up before one is written, because the first would make its host known.
  return inTurn(async () => {
    const entries = await knownHosts.entries()
    const [path] = knownHosts.files
    const hides = entries.some(entry => entry.path === path && 'hash' in entry.hosts)
    const lines: string[] = []
    for (const [name, group] of hosts) {
      const types = new Set<string>()
      for (const key of group.keys) {
        const found = await look(name, group, key, entries)
        const isSecond = found.state === 'new' && types.has(key.algorithm.name)
        results.push(isSecond ? { ...found, state: 'differs', reason: 'there are two of this kind' } : found)
        if (found.state !== 'new' || isSecond) continue
        types.add(key.algorithm.name)
        lines.push(`${hides ? hideName(name) : name} ${key.algorithm.name} ${key.blob.toString('base64')}`)
      }
    }
    if (lines.length > 0 && path !== undefined && !dryRun) await appendToOwn(path, withLines(Buffer.alloc(0), lines))
    return results
  })
}

function read(saved: SavedHostKey): CarriedHostKey | ImportedHostKey {
  const host = showForeign(saved.name, 80)
  try {
    return readHostKey(saved) ?? { host, state: 'passed', reason: 'OpenSSH has no host keys of this kind' }
  } catch (error) {
    if (!isKeytoolError(error)) throw error
    return { host, state: 'refused', reason: showForeign(error.message) }
  }
}

async function look(
  name: string,
  { host, port }: Grouped,
  key: PublicKey,
  entries: readonly Entry[],
): Promise<ImportedHostKey> {
  const found = await judge(entries, host, port, key.blob, { now: 0n })
  const described = describe(name, key)
  if (found.state === 'known') return { ...described, state: 'known' }
  if (found.state === 'unknown') return { ...described, state: 'new' }
  if (found.state === 'revoked') return { ...described, state: 'differs', reason: 'known_hosts says it is revoked' }
  if (found.state === 'changed' && found.keyType === key.algorithm.name) {
    const { file, line } = found.place
    return { ...described, state: 'differs', reason: `${file} line ${line} says ${found.fingerprint}` }
  }
  return { ...described, state: 'passed', reason: 'the host is known by keys of other kinds' }
}

function describe(host: string, key: PublicKey): Omit<ImportedHostKey, 'state'> {
  return { host, type: key.algorithm.name, fingerprint: fingerprint(key) }
}
