import type { PublicKey } from '@keytool/keygen'
import type { Connection } from '../connection/connection.js'
import { readSecondFile, SECOND_FILE } from './audit-second.js'
import type { KeyFile } from './key-file.js'
import { type SurveyedLine, surveyKeys } from './survey.js'

/** A line of a server's that has a key, in whatever part. */
export interface KeyPlace {
  /** From the server: shown escaped only. */
  readonly path: string
  readonly line: number
  readonly key: PublicKey | undefined
  /** Whether it lets in certificates by the key, and not the key. */
  readonly isAuthority: boolean
  /** Whether sshd takes the line. */
  readonly isHeeded: boolean
}

export interface KeyPlaces {
  /** In the file itself. */
  readonly first: readonly KeyPlace[]
  /** In authorized_keys2, where a shell leads to it. */
  readonly second: readonly KeyPlace[]
}

/**
 * Every line of an account that has a key of this fingerprint.
 * @throws KeytoolError as `KeyFile.read` and `surveyKeys`
 */
export async function findKeyPlaces(
  connection: Pick<Connection, 'exec'>,
  file: Pick<KeyFile, 'path' | 'way' | 'read'>,
  fingerprint: string,
): Promise<KeyPlaces> {
  const find = async (path: string, bytes: Buffer) =>
    (await surveyKeys(bytes, { now: new Date() })).filter(isIt).map(line => placeOf(path, line))
  const isIt = (line: SurveyedLine) => line.fingerprint === fingerprint
  const first = await find(file.path, await file.read())
  const second = file.way === 'shell' ? await readSecondFile(connection) : undefined
  return { first, second: typeof second === 'object' ? await find(SECOND_FILE, second) : [] }
}

function placeOf(path: string, { line, key, isAuthority, isHeeded }: SurveyedLine): KeyPlace {
  return { path, line, key, isAuthority, isHeeded }
}
