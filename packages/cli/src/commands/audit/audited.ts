import type { PublicKey } from '@keytool/keygen'
import type { Finding } from './finding.js'
import type { KeyFileFound } from './key-files.js'

/** One line of the list: a key, a folder, or a file that should be one. */
export interface Audited {
  /** Absent for a key that an agent holds, and that lies in no file. */
  readonly path?: string
  readonly kind: 'private' | 'public' | 'certificate' | 'folder' | 'unreadable' | 'missing' | 'agent'
  readonly key?: PublicKey
  readonly file?: KeyFileFound
  /** Whether an agent holds it. */
  readonly isHeld?: boolean
  readonly lastUse?: Date | undefined
  readonly findings: readonly Finding[]
}
