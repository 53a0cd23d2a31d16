import { isKeytoolError } from '@keytool/keygen'
import type { Connection } from '../connection/connection.js'
import { readLastUses } from './audit-log.js'
import { readSecondFile, SECOND_FILE } from './audit-second.js'
import type { KeyFileFinding, KeyFileWay } from './key-file.js'
import { type LastUses, noUses } from './last-use.js'
import { openKeyFile } from './open-key-file.js'
import { type SurveyedLine, type SurveyOptions, surveyKeys } from './survey.js'

export interface AuditOptions extends SurveyOptions {
  /** Whose account it is: as the server was told. */
  readonly user: string
  /** Whether logs are looked into. Default: yes. */
  readonly logs?: boolean
}

/** One file that lets keys in to an account, judged. */
export interface AuditedFile {
  /** As people there know it; from the server: shown escaped only. */
  readonly path: string
  readonly lines: readonly SurveyedLine[]
}

export interface AuditedAccount {
  readonly way: KeyFileWay
  /** authorized_keys, and authorized_keys2 where that is there and a shell leads to it. */
  readonly files: readonly AuditedFile[]
  /** Files that are there and could not be read. */
  readonly unread: readonly string[]
  /** What may keep sshd from heeding the file. */
  readonly troubles: readonly KeyFileFinding[]
  readonly uses: LastUses
}

/**
 * Whose keys get in to an account, what is to be said of each, and when it was last used. Changes nothing there.
 * @throws KeytoolError as `openKeyFile` and `surveyKeys`
 */
export async function auditServer(
  connection: Pick<Connection, 'exec' | 'openSubsystem'> & Partial<Pick<Connection, 'software'>>,
  options: AuditOptions,
): Promise<AuditedAccount> {
  const file = await openKeyFile(connection)
  const files = [{ path: file.path, lines: await surveyKeys(await file.read(), options) }]
  const unread: string[] = []
  const hasShell = file.way === 'shell'
  const second = hasShell ? await readSecondFile(connection) : undefined
  if (second === 'unreadable') unread.push(SECOND_FILE)
  else if (second) files.push({ path: SECOND_FILE, lines: await surveyKeys(second, options) })
  return {
    way: file.way,
    ...{ files, unread },
    // Some servers tell less; what was read stands.
    troubles: await file.examine().catch(passOver),
    uses: hasShell && options.logs !== false ? await readLastUses(connection, options) : noUses,
  }
}

function passOver(error: unknown): readonly KeyFileFinding[] {
  if (!isKeytoolError(error)) throw error
  return []
}
