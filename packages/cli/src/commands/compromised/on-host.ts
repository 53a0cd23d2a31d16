import { isKeytoolError, KeytoolError, type PublicKey, type Signer, showForeign } from '@keytool/keygen'
import {
  findAdmission,
  findKeyPlaces,
  type KeyPlace,
  openKeyFile,
  removePublicKey,
  type Session,
} from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { exitStatus } from '../../exit.js'
import { type HostOutcome, type Member, nameMember } from '../../fleet/member.js'
import { type OnServer, onServer, type ServerLogin } from '../../fleet/on-server.js'
import { isKeyIn } from './settings-here.js'
import type { Suspect } from './trace.js'

export interface RemovalOptions {
  readonly dryRun?: boolean
  /** Whether the key itself may log in where nothing else does. */
  readonly useIt?: boolean
  readonly passwordFile?: string
  readonly passphraseFile?: string
  readonly hostKey?: string
}

/** What is to be gone from a host, and what proves that it is. */
export interface Removal {
  readonly suspect: Suspect
  /** Signs with the key; absent where only its public half is here. */
  readonly signer: Signer | undefined
  readonly options: RemovalOptions
}

/** Errors that say that nothing that was offered got in. */
const notLetIn: readonly string[] = ['secret-wrong', 'secret-needed']

/**
 * Takes the key out of one host's authorized_keys, logged in with another key or the password, and proves that it is
 * refused afterwards. What could not be done has the outcome of a failure.
 * @throws KeytoolError as `onServer`, when it could not be looked at
 */
export async function removeOn(asNamed: Member, removal: Removal, context: Context): Promise<HostOutcome> {
  const { suspect, signer, options } = removal
  const member = await withoutIt(asNamed, suspect)
  const isBarred = (key: PublicKey) => suspect.key?.equals(key.plain) ?? false
  const login: ServerLogin = { options, signers: [], usualKeys: true, isBarred }
  const work = (server: OnServer) => removeThere(member, server, removal, context)
  try {
    return await onServer(member, login, context, work)
  } catch (error) {
    if (!isKeytoolError(error) || !notLetIn.includes(error.code) || !signer) throw error
    if (!options.useIt) throw offerIt(error)
    context.say.note('nothing else gets in: the key itself logs in, for the last time')
    return await onServer(member, { options, signers: [signer] }, context, work)
  }
}

/** A session, or a file of hosts, that names this key alone would leave nothing else to log in with. */
async function withoutIt(member: Member, suspect: Suspect): Promise<Member> {
  const { identity, destination, ...others } = member
  const { session, ...place } = destination
  const isIt = async (path: string | undefined) => path !== undefined && (await isKeyIn(path, suspect))
  const { key, ...rest } = session ?? {}
  return {
    ...others,
    ...(identity !== undefined && !(await isIt(identity)) && { identity }),
    destination: { ...place, ...(session && { session: (await isIt(key)) ? (rest as Session) : session }) },
  }
}

function offerIt(error: KeytoolError): KeytoolError {
  const { code, message, reason } = error
  return new KeytoolError(code, message, {
    ...(reason !== undefined && { reason }),
    hint: 'pass a password with --password-file; if the key alone gets in, --use-it has it log in for this',
    cause: error,
  })
}

async function removeThere(
  member: Member,
  { connection, again }: OnServer,
  { suspect, signer, options: { dryRun = false } }: Removal,
  context: Context,
): Promise<HostOutcome> {
  const named = nameMember(member)
  context.say.transient('looking')
  const file = await openKeyFile(connection).catch(error => {
    throw explainClosed(error)
  })
  const { first, second } = await findKeyPlaces(connection, file, suspect.fingerprint)
  const lines = first.filter(({ isAuthority, isHeeded }) => !isAuthority && isHeeded)
  const key = suspect.key ?? first.find(place => place.key)?.key
  if (!key && lines.length > 0) {
    throw new KeytoolError('unsupported', `line ${lines[0]?.line} of ${showForeign(file.path)} has the key`, {
      reason: 'its type is not known here, so the line is left as it is',
      hint: 'take it out there',
    })
  }
  const left = [...first.filter(({ isAuthority }) => isAuthority), ...second]
  const where = `${showForeign(file.path)} line ${lines.map(({ line }) => line).join(', ')}`
  if (dryRun) {
    if (lines.length + left.length === 0) return { ...named, state: 'absent', code: 0, detail: 'is not there' }
    const detail = [lines.length > 0 && `would be removed from ${where}`, ...left.map(describeLeft)]
    return { ...named, state: 'would-remove', code: 0, detail: detail.filter(Boolean).join('; ') }
  }
  context.say.transient('removing')
  const removed = key && lines.length > 0 ? await removePublicKey(file, key.plain) : undefined
  const done = removed ? `removed from ${where}` : 'is not there'
  if (left.length > 0) {
    const detail = [done, ...left.map(describeLeft)].join('; ')
    return { ...named, state: 'still-there', code: exitStatus.failed, detail }
  }
  const state = removed ? 'removed' : 'absent'
  if (!key) return { ...named, state, code: 0, detail: `${done}; not tried: the key itself is not here` }
  context.say.transient('verifying')
  return { ...named, ...(await verify(again, { key: key.plain, signer }, state, done)) }
}

/** A forge lets many in by their keys, and none to a file. */
function explainClosed(error: unknown): unknown {
  if (!isKeytoolError(error) || error.code !== 'unsupported') return error
  const { code, message, reason } = error
  return new KeytoolError(code, message, {
    ...(reason !== undefined && { reason }),
    hint: 'where keys are kept on a web page, as at GitHub, take it out there',
    cause: error,
  })
}

/** What nobody but its user can take out. */
function describeLeft({ path, line, isAuthority }: KeyPlace): string {
  const where = `${showForeign(path)} line ${line}`
  return isAuthority ? `certificates by it are let in (${where}): take that line out` : `take it out of ${where}`
}

async function verify(
  again: OnServer['again'],
  { key, signer }: { readonly key: PublicKey; readonly signer: Signer | undefined },
  state: string,
  done: string,
): Promise<Pick<HostOutcome, 'state' | 'code' | 'detail'>> {
  try {
    const admitted = await findAdmission(again, key, signer)
    if (!admitted) return { state, code: 0, detail: `${done}, verified: it is refused` }
    const { admittedBy } = admitted
    const by = admittedBy && ` by ${showForeign(admittedBy.path)} line ${admittedBy.line}`
    const detail = `${done}, but the server lets it in${by ?? ' all the same: AuthorizedKeysFile or AuthorizedKeysCommand may look elsewhere'}`
    return { state: 'still-admitted', code: exitStatus.failed, detail }
  } catch (error) {
    if (!isKeytoolError(error) || error.code === 'cancelled') throw error
    const detail = `${done}; that it is refused could not be seen: ${showForeign(error.message)}`
    return { state, code: exitStatus[error.code], detail }
  }
}
