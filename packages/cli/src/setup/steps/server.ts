import { detectPrivate, isKeytoolError, KeytoolError, type PublicKey, showForeign } from '@keytool/keygen'
import {
  type Connection,
  changeKeyFile,
  explainRefusal,
  findLines,
  installPublicKey,
  type KeyFile,
  openKeyFile,
  removeEmptied,
  removeKeyLines,
  verifyKeyAlone,
} from '@keytool/tunnel'
import { openKey, withFile } from '../../files.js'
import { showDestination } from '../../reach.js'
import { type Entry, enter } from '../enter.js'
import type { Job, SetupKey, Step, Undoing } from '../job.js'
import { sumOf, withoutAddedEnd } from '../original.js'
import { readPublicText } from '../public-text.js'
import type { Facts } from '../record.js'
import { withSigner } from '../signer.js'

/** The public key on the server, proved by a login with that key alone. */
export const serverStep: Step = {
  name: 'server',
  title: 'server',
  async look({ entry, key, destination }) {
    const where = showForeign(showDestination(destination))
    if (entry?.byKey) return { state: 'done', text: `${where} lets this key in` }
    return {
      state: 'to-do',
      text:
        key.publicKey && entry
          ? `the key would be added at ${where}`
          : `the key would be added at ${where}, by password`,
    }
  },
  apply: install,
  undo: remove,
  foretell({ flags, destination }) {
    const where = showForeign(showDestination(destination))
    return flags.leaveServer ? `the key would stay at ${where}` : `the key's line would be removed at ${where}`
  },
}

async function install(job: Job): Promise<string> {
  const { entry, key, record, destination } = job
  const { publicKey } = key
  if (!entry || !publicKey) throw new KeytoolError('failed', 'there is no login on the server')
  const file = await openKeyFile(entry.connection)
  // After an end in the middle what was there before is known already.
  const facts = record.madeBy('server')?.facts ?? (await factsOf(file))
  const isThere = findLines(await file.read(), publicKey).length > 0
  if (!isThere || record.madeBy('server')) await record.note('server', { state: 'begun', facts })
  const { path, line, state } = await installPublicKey(file, publicKey)
  // Already before it is proved: whatever comes of that, the line is there.
  if (!isThere || record.madeBy('server')) await record.note('server', { state: 'done', facts })
  const admitted = await verify(entry, file, job).catch(async error => {
    throw await whyRefused(error, entry.connection, file, job)
  })
  const where = `${showForeign(showDestination(destination))}, ${showForeign(path)} line ${line ?? '?'}`
  const what = state === 'added' ? 'the key is added' : 'the key was there'
  return `${what}: ${where}; verified with this key alone${admitted}`
}

/** What undoing has to know. */
async function factsOf(file: KeyFile): Promise<Facts> {
  const before = await file.read()
  const missing = (await file.examine().catch(() => []))
    .filter(({ kind }) => kind === 'missing')
    .map(({ path }) => path)
  return {
    path: file.path,
    ...sumOf(before),
    noFile: missing.includes(file.path),
    noFolder: missing.includes('~/.ssh'),
  }
}

async function verify({ again }: Entry, file: KeyFile, { key, context }: Job): Promise<string> {
  return withSigner(key, context, async (signer, binding) => {
    if (!signer) throw new KeytoolError('failed', 'nothing here can sign with the key')
    const { admittedBy } = await verifyKeyAlone({ ...again, ...binding }, signer)
    return !admittedBy || admittedBy.path.endsWith(file.path.replace(/^~/, ''))
      ? ''
      : `, by ${showForeign(admittedBy.path)} line ${admittedBy.line}`
  })
}

async function whyRefused(error: unknown, connection: Connection, file: KeyFile, job: Job): Promise<unknown> {
  if (!isKeytoolError(error) || error.code !== 'secret-wrong') return error
  const why = await explainRefusal(connection, file).catch(() => undefined)
  return new KeytoolError('failed', `${showDestination(job.destination)} does not let the key in, though it is there`, {
    reason: why?.evidence[0] ?? 'its AuthorizedKeysFile or its modes may be the cause',
    hint: why ? `there: ${why.remedy}` : 'the log of sshd on the server says why',
    cause: error,
  })
}

async function remove(undoing: Undoing): Promise<string> {
  const { context, flags, record, destination, otherAgent } = undoing
  const made = record.madeBy('server')
  const where = showForeign(showDestination(destination))
  if (!made) return 'was not changed by setup'
  if (flags.leaveServer) return `the key stays at ${where}`
  const key = await keyOf(undoing)
  const { publicKey } = key
  const { hostKey, passwordFile } = flags
  const entry = await enter(destination, { hostKey, passwordFile, key, otherAgent }, context)
  try {
    const file = await openKeyFile(entry.connection)
    const after = await changeKeyFile(file, bytes => withoutAddedEnd(removeKeyLines(bytes, publicKey), made))
    if (findLines(after, publicKey).length > 0) {
      throw new KeytoolError('failed', `the key is still at ${where}`, { hint: `look at ${file.path} there` })
    }
    const { noFile, noFolder, path } = made.facts
    const isEmptied = after.length === 0 && noFile === true && path === '~/.ssh/authorized_keys'
    if (isEmptied) await removeEmptied(entry.connection, file.way, noFolder === true)
    return `the key's line is removed at ${where}${isEmptied ? ', and with it the file that setup had made' : ''}`
  } finally {
    await entry.close()
  }
}

/** What opens by itself, or by the passphrase that was given, signs from its file; the rest is the agent's. */
async function keyOf({ record: { value }, flags, context }: Undoing): Promise<SetupKey & { publicKey: PublicKey }> {
  const { key: text = '', keyFile: path = '' } = value
  const publicKey = readPublicText(text)
  const isEncrypted = await withFile(path, async bytes => (await detectPrivate(bytes).inspect(bytes)).encrypted).catch(
    () => true,
  )
  const { passphraseFile } = flags
  if (isEncrypted && passphraseFile === undefined) return { path, publicKey, isEncrypted }
  const { key: opened, passphrase } = await openKey(
    path,
    passphraseFile === undefined ? {} : { passphraseFile },
    context,
  )
  passphrase?.fill(0)
  return { path, publicKey, isEncrypted, ...(opened.publicKey.equals(publicKey) && { opened }) }
}
