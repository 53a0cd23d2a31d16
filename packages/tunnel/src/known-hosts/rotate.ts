import { nameOfHost, PublicKey } from '@keytool/keygen'
import { appendToOwn } from './append.js'
import { matching } from './entries.js'
import { withLines } from './lines.js'
import { removeName } from './removal.js'
import { rewriteOwn } from './rewrite.js'
import { planRotation, type Rotation } from './rotation.js'
import type { KnownHosts } from './store.js'
import { inTurn } from './turn.js'

export interface UpdateHostKeysOptions {
  readonly knownHosts: KnownHosts
  /** As it is looked up: an alias with port 22, where there is one. */
  readonly host: string
  readonly port: number
  /** The key the server has shown and signed with, or its certificate. That it is known, and may rotate, the caller has looked up. */
  readonly current: Buffer
  /** All of its keys, as it lists them. */
  readonly offered: readonly Buffer[]
  /**
   * Has the server prove that these keys are its own (hostkeys-prove-00@openssh.com). Rejects when it does not; then nothing
   * is changed.
   */
  readonly prove: (keys: readonly Buffer[]) => Promise<void>
  /** Whether to go ahead (UpdateHostKeys=ask). Default: yes. */
  readonly ask?: (changes: HostKeyChanges) => Promise<boolean>
}

export interface HostKeyChanges {
  /** Noted now. */
  readonly added: readonly PublicKey[]
  /** Known for this host no longer. */
  readonly removed: readonly PublicKey[]
}

export interface HostKeyUpdate extends HostKeyChanges {
  /** Why nothing was changed although the server's keys are others than those known. */
  readonly skipped?: string
}

const nothing: HostKeyUpdate = { added: [], removed: [] }

/**
 * Follows a server that changes its keys, as OpenSSH's UpdateHostKeys does: new ones are noted once it has proved that it has
 * them, and those it no longer lists are removed from the user's own files. A line that has other names keeps those. The rest
 * of the files stays byte for byte.
 * @throws KeytoolError what `prove` and `ask` reject with; `failed`, `refused`, `damaged` when a file can't be read or changed;
 * `unsupported`, `damaged` for a current key that is none
 */
export async function updateHostKeys(options: UpdateHostKeysOptions): Promise<HostKeyUpdate> {
  const { knownHosts, host, port, current, offered, prove, ask } = options
  if (knownHosts.isReadOnly) return nothing
  const own = (await knownHosts.entries()).filter(({ isOwn }) => isOwn)
  const plan = planRotation(own, host, port, PublicKey.fromBlob(current).plain.blob, offered)
  if (typeof plan === 'string') return { ...nothing, skipped: plan }
  const { fresh, obsolete } = plan
  if (fresh.length + obsolete.length === 0) return nothing
  if (fresh.length > 0) await prove(fresh.map(({ blob }) => blob))
  const changes = { added: fresh, removed: obsolete }
  if (ask && !(await ask(changes))) return { ...nothing, skipped: 'it was not wanted' }
  await inTurn(() => apply(plan, knownHosts, host, port))
  return changes
}

async function apply({ fresh, obsolete }: Rotation, knownHosts: KnownHosts, host: string, port: number): Promise<void> {
  const [first, ...others] = knownHosts.files
  if (first === undefined) return
  const name = nameOfHost(host, port)
  const isObsolete = (blob: Buffer) => obsolete.some(key => key.blob.equals(blob))
  // Another program of ours may have done the same meanwhile.
  const linesToAdd = async () => {
    const noted = matching(await knownHosts.entries(), name).filter(
      ({ isOwn, marker }) => isOwn && marker === undefined,
    )
    const blobs = fresh.map(({ blob }) => blob)
    return knownHosts.linesToAdd(
      host,
      port,
      blobs.filter(blob => !noted.some(entry => entry.blob.equals(blob))),
    )
  }
  // New ones first: whatever happens in between, the server is known by one of its keys.
  const lines = await linesToAdd()
  const exchange = (bytes: Buffer) => {
    const rest = removeName(bytes, name, isObsolete)
    return rest && withLines(rest, lines)
  }
  if (obsolete.length === 0 || !(await rewriteOwn(first, exchange))) {
    const missing = await linesToAdd()
    if (missing.length > 0) await appendToOwn(first, withLines(Buffer.alloc(0), missing))
  }
  if (obsolete.length === 0) return
  for (const file of others) await rewriteOwn(file, bytes => removeName(bytes, name, isObsolete))
}
