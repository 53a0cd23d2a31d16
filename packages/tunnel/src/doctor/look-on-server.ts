import { fingerprint, isKeytoolError, type KeytoolError, type PublicKey } from '@keytool/keygen'
import type { Connection } from '../connection/connection.js'
import type { KeyFile, KeyFileFinding } from '../servers/key-file.js'
import { examineByShell } from '../servers/shell-key-file.js'
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
  'key-type': { cause: 'key-type', own: true },
  absent: { cause: 'key-refused', own: false },
  'line-options': { cause: 'key-restricted', own: true },
  rules: {
    cause: 'key-refused',
    own: true,
    text: 'the server has a rule that shuts the key out, though its file holds it',
  },
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
    if (error.code === 'damaged') return diagnose('authorized-keys-unreadable', clues, tell(error))
    const closed = closedTo(await file.examine().catch(() => []), clues)
    return closed ?? diagnose('permissions', clues, tell(error))
  }
  const found = reports.find(({ cause }) => cause !== 'absent')
  if (!found) {
    const names = keys.map(key => fingerprint(key)).join(', ')
    return diagnose('key-refused', clues, [`${file.path} does not hold ${names}`])
  }
  const { cause, own, text } = meanings[found.cause]
  const isWell = found.cause === 'unknown' || found.cause === 'rules'
  const well = isWell ? [`${file.path} holds the key, and nothing is wrong with it`] : []
  return diagnose(cause, clues, [...well, ...found.evidence], {
    ...(text !== undefined && { text, advice: 'on the server' }),
    ...(own && { remedy: found.remedy }),
  })
}

/**
 * The same where the user can't read the file: sshd, which reads it as that user, can't either.
 * @returns `undefined` where its modes and owners do not say why
 */
export async function lookAtClosed(
  connection: Pick<Connection, 'exec' | 'software'>,
  clues: Clues,
): Promise<Diagnosis | undefined> {
  const { software } = connection
  return closedTo(await examineByShell({ connection, software }).catch(() => []), clues)
}

/** What keeps the user out goes before what lets others in. */
function closedTo(findings: readonly KeyFileFinding[], clues: Clues): Diagnosis | undefined {
  const of = (...kinds: KeyFileFinding['kind'][]) => findings.filter(({ kind }) => kinds.includes(kind))
  const [first, ...others] = [...of('unreadable'), ...of('foreign-owner', 'writable-by-others')]
  if (!first) return undefined
  const text = `sshd can't heed the keys of ${clues.account}: ${first.text}`
  return diagnose(
    'permissions',
    clues,
    [first, ...others].map(each => each.text),
    { text, remedy: first.remedy },
  )
}

/** An error's message and reason, as evidence. */
function tell({ message, reason }: KeytoolError): string[] {
  return [message, ...(reason === undefined ? [] : [reason])]
}
