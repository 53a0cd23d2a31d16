import { fingerprint, isKeytoolError, type KeytoolError, type PublicKey } from '@keytool/keygen'
import type { Connection } from '../connection/connection.js'
import type { KeyFile } from '../servers/key-file.js'
import { explainRefusal, type RefusalCause, type RefusalReport } from '../servers/why-refused.js'
import type { Clues } from './cause.js'
import type { Cause } from './causes.js'
import { type Diagnosis, diagnose } from './diagnosis.js'

/** Of many keys that were refused, the first ones are looked for. */
const MAX_KEYS = 4

/** What a report comes to, where it is about a key that its file holds, and whether its remedy is the better one. */
const meanings: Readonly<
  Record<RefusalCause, { readonly cause: Cause; readonly own: boolean; readonly text?: string }>
> = {
  permissions: { cause: 'permissions', own: true },
  selinux: { cause: 'permissions', own: true, text: "SELinux's labels keep sshd from the file of keys" },
  'authorized-keys-path': { cause: 'authorized-keys-path', own: true },
  'publickey-off': { cause: 'password-only', own: false },
  absent: { cause: 'key-refused', own: false },
  'line-options': { cause: 'key-restricted', own: true },
  // The key is there, and all is well with the file: so sshd reads another, or has a rule about the type.
  unknown: { cause: 'authorized-keys-path', own: false },
}

/**
 * Why a server that let us in another way does not take a key: what can be seen from inside, by an account without rights.
 * Nothing is changed.
 * @param keys those it refused; at least one. What holds for one that is there goes before what holds for the others
 * @throws KeytoolError `unreachable`
 */
export async function lookForKeys(
  connection: Pick<Connection, 'exec' | 'remarks'>,
  file: KeyFile,
  keys: readonly PublicKey[],
  clues: Clues,
): Promise<Diagnosis> {
  const reports: RefusalReport[] = []
  try {
    for (const key of keys.slice(0, MAX_KEYS)) reports.push(await explainRefusal(connection, file, key))
  } catch (error) {
    if (!isKeytoolError(error) || error.code === 'unreachable') throw error
    return diagnose(error.code === 'damaged' ? 'authorized-keys-unreadable' : 'permissions', clues, tell(error))
  }
  const found = reports.find(({ cause }) => cause !== 'absent')
  if (!found) {
    const names = keys.map(key => fingerprint(key)).join(', ')
    return diagnose('key-refused', clues, [`${file.path} does not hold ${names}`])
  }
  const { cause, own, text } = meanings[found.cause]
  const evidence =
    found.cause === 'unknown' ? [`${file.path} holds the key, and nothing is wrong with it`] : found.evidence
  return diagnose(cause, clues, evidence, {
    ...(text !== undefined && { text }),
    ...(own && { remedy: found.remedy }),
  })
}

/** An error's message and reason, as evidence. */
function tell({ message, reason }: KeytoolError): string[] {
  return [message, ...(reason === undefined ? [] : [reason])]
}
