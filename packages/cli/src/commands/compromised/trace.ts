import type { AgentClient } from '@keytool/agent'
import type { PublicKey } from '@keytool/keygen'
import type { Context } from '../../context.js'
import type { KeyFilesFound } from '../audit/key-files.js'
import type { SignedFor } from '../audit/ledger-uses.js'
import type { Settings } from '../audit/named-files.js'

/** Where a key is known on this machine. */
export interface Trace {
  readonly kind: 'file' | 'agent' | 'keychain' | 'policy' | 'session' | 'journal' | 'ledger'
  /** The file, agent, session or account. Escaped already, and so is `detail`. */
  readonly where: string
  readonly detail: string
  /**
   * Takes the key out of there; absent where it stays, as a record or for its user to decide.
   * @throws KeytoolError with what stood in the way
   */
  readonly remove?: () => Promise<void>
}

/** The key in question, as far as it is known. */
export interface Suspect {
  /** `SHA256:…`. */
  readonly fingerprint: string
  /** Absent where only the fingerprint was given, and nothing here has the key. */
  readonly key?: PublicKey | undefined
  /** The file that was named. */
  readonly path?: string
}

/** All that is looked through for it. */
export interface Here {
  readonly settings: Settings
  readonly files: KeyFilesFound['files']
  readonly agents: readonly AgentClient[]
  readonly signatures: ReadonlyMap<string, readonly SignedFor[]>
  readonly context: Context
}
