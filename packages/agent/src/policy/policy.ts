import { fingerprint, PublicKey } from '@keytool/keygen'
import type { Terms } from '../terms.js'

/** What the policy says of one key. It is named by its file, its fingerprint or both. */
export interface KeyRule {
  /** The private key's file: absolute. */
  readonly file?: string
  /** `SHA256:…`, the key's own; a certificate of it has the same. Filled in by `resolvePolicy` where the file shows it. */
  readonly fingerprint?: string
  /** Whether the key is added when the agent starts. Only where `file` is there. */
  readonly atLogin?: boolean
  /** Whether its passphrase lies in the system's keychain: then it is looked for there before anybody is asked. */
  readonly remember?: boolean
  /** Seconds, as in {@link Terms}. */
  readonly lifetime?: number
  readonly idle?: number
  readonly confirm?: boolean
  /** The only hosts it logs in to: patterns of `*` and `?`, `host` or `[host]:port` as in known_hosts. */
  readonly hosts?: readonly string[]
  /** The only programs it is used by: names, or absolute paths. */
  readonly programs?: readonly string[]
}

/** What the agent lets whom do: `agent.json`, with what it leaves out. */
export interface Policy {
  readonly keys: readonly KeyRule[]
  /** For all keys whose rule says nothing else. Seconds, as in {@link Terms}. */
  readonly lifetime?: number
  readonly idle?: number
  readonly confirm: boolean
  /** Whether the order in which keys are offered is learnt, and kept in a file. */
  readonly learn: boolean
  /** Who gets a signature of what is neither a login nor SSHSIG. `local`: whoever is bound to no host. */
  readonly unknownData: 'local' | 'never'
  /** What may be done through a forwarded agent. */
  readonly forwarded: { readonly add: boolean; readonly remove: boolean; readonly lock: boolean }
  /** When keys with an encrypted file are sealed again. */
  readonly sealOn: { readonly suspend: boolean; readonly screenLock: boolean }
  readonly ledger: boolean
  /** The socket of another agent, whose keys are listed too: absolute. */
  readonly upstream?: string
}

/** What holds without a file. */
export const defaultPolicy: Policy = {
  keys: [],
  confirm: false,
  learn: true,
  unknownData: 'local',
  forwarded: { add: false, remove: false, lock: false },
  sealOn: { suspend: true, screenLock: true },
  ledger: true,
}

/** A key that there may be a rule about. */
export interface Ruled {
  readonly blob: Buffer
  /** Where it was read from, where that is known: absolute. */
  readonly file?: string
}

/** The rule about a key, which may also be held as a certificate of it. */
export function ruleOf(policy: Policy, key: Ruled): KeyRule | undefined {
  if (policy.keys.length === 0) return undefined
  const { byFile, byFingerprint } = indexOf(policy)
  return byFingerprint.get(fingerprintOf(key.blob)) ?? (key.file === undefined ? undefined : byFile.get(key.file))
}

/** What a key is held under, given what it was added under: of two limits the stricter one. */
export function completeTerms(policy: Policy, key: Ruled, terms: Terms): Terms {
  const rule = ruleOf(policy, key)
  const lifetime = least(terms.lifetime, rule?.lifetime ?? policy.lifetime)
  const idle = least(terms.idle, rule?.idle ?? policy.idle)
  const confirm = terms.confirm === true || (rule?.confirm ?? policy.confirm)
  return {
    ...terms,
    ...(lifetime !== undefined && { lifetime }),
    ...(idle !== undefined && { idle }),
    ...(confirm && { confirm }),
  }
}

function least(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return Math.min(one, other)
}

interface Index {
  readonly byFile: ReadonlyMap<string, KeyRule>
  readonly byFingerprint: ReadonlyMap<string, KeyRule>
}

/** Rules are asked for at every signature, and change with the file only. */
const indexes = new WeakMap<Policy, Index>()

function indexOf(policy: Policy): Index {
  const known = indexes.get(policy)
  if (known) return known
  const { keys } = policy
  const index = {
    byFile: new Map(keys.flatMap(rule => (rule.file === undefined ? [] : [[rule.file, rule]]))),
    byFingerprint: new Map(keys.flatMap(rule => (rule.fingerprint === undefined ? [] : [[rule.fingerprint, rule]]))),
  }
  indexes.set(policy, index)
  return index
}

/** By the buffers that the ring keeps: a key is asked about again and again. */
const fingerprints = new WeakMap<Buffer, string>()

function fingerprintOf(blob: Buffer): string {
  const known = fingerprints.get(blob)
  if (known !== undefined) return known
  const made = fingerprint(keyOf(blob))
  fingerprints.set(blob, made)
  return made
}

/** What the fingerprint is of: a key of a type that is in no table is its blob. */
function keyOf(blob: Buffer): { readonly blob: Buffer } {
  try {
    return PublicKey.fromBlob(blob).plain
  } catch {
    return { blob }
  }
}
