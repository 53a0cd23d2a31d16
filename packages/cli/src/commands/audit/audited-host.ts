import type { KeyUse, SurveyedLine } from '@keytool/tunnel'
import type { HostOutcome } from '../../fleet/member.js'
import type { Finding } from './finding.js'

/** A line of a server's list, and when its key was last used there. */
export interface AuditedLine extends SurveyedLine {
  readonly file: string
  readonly lastUse: KeyUse | undefined
}

/** What one host's account lets in. */
export interface AuditedHost extends HostOutcome {
  readonly lines: readonly AuditedLine[]
  /** About the file itself. */
  readonly findings: readonly Finding[]
  /** How far back its logs reach; absent where none can be read. */
  readonly since?: Date
}
