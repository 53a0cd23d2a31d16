import { isKeytoolError, KeytoolError, type Signer, showForeign } from '@keytool/keygen'
import {
  explainRefusal,
  HalfLogin,
  type InstallResult,
  installPublicKey,
  type KeyFile,
  openKeyFile,
  verifyKeyAlone,
} from '@keytool/tunnel'
import type { Context } from '../../context.js'
import { exitStatus } from '../../exit.js'
import type { ChosenKey } from '../../fleet/chosen-key.js'
import { type HostOutcome, type Member, nameMember } from '../../fleet/member.js'
import { type OnServer, onServer } from '../../fleet/on-server.js'
import { showDestination } from '../../reach.js'
import type { InstallFlags } from './options.js'
import { describeProof, describeResult, halfProof } from './words.js'

/** What may be where whoever logs in sees nothing of it, by how the key was not let in: refused, or not even asked for. */
const unseen: Readonly<Record<string, { readonly reason: string; readonly remedy?: string }>> = {
  'secret-wrong': { reason: 'its AuthorizedKeysFile may name another file, or its rules shut this key or user out' },
  'secret-needed': {
    reason: 'it asks for no key: PubkeyAuthentication or AuthenticationMethods may say so',
    remedy: "sudo sshd -T | grep -iE 'pubkeyauth|authenticationmethods'",
  },
}

/** Puts the key on one host, and proves it by a login of its own. */
export function installOn(
  member: Member,
  { key, signer }: ChosenKey,
  options: InstallFlags,
  context: Context,
): Promise<HostOutcome> {
  const signers: Signer[] = signer ? [signer] : []
  const { sftp = false, dryRun = false, options: limits } = options
  const installed = onServer(member, { options, signers, usualKeys: true }, context, async server => {
    context.say.transient('installing')
    const file = await openKeyFile(server.connection, sftp ? { way: 'sftp' } : {})
    const result = await installPublicKey(file, key, { dryRun, ...(limits !== undefined && { options: limits }) })
    if (dryRun) return outcome(member, result, 0)
    if (!signer) return outcome(member, result, exitStatus.failed, 'not verified: the private key is not here')
    try {
      return outcome(member, result, 0, await prove(server, signer, { file, result, member, options }, context))
    } catch (error) {
      // What was written stands, whatever keeps it from being proved.
      if (context.leaving?.aborted) return outcome(member, result, exitStatus.cancelled, 'not verified: stopped')
      if (!isKeytoolError(error)) throw error
      context.say.error(error)
      return outcome(member, result, exitStatus[error.code], `not verified: ${showForeign(error.message)}`)
    }
  })
  return installed.catch(error => {
    throw withoutCircle(error)
  })
}

/** Whoever is let in by keys alone is told to put one there: which is what could not be done. */
function withoutCircle(error: unknown): unknown {
  if (!isKeytoolError(error) || error.code !== 'secret-wrong' || !error.hint?.includes('install-pubkey')) return error
  const { code, message, reason } = error
  return new KeytoolError(code, message, {
    ...(reason !== undefined && { reason }),
    hint: 'a key that is let in has to put this one there: load it (keytool add), or name it in ssh_config',
    cause: error,
  })
}

function outcome(member: Member, result: InstallResult, code: number, more = ''): HostOutcome {
  const detail = [[describeResult(result), more].filter(Boolean).join(', '), result.note].filter(Boolean).join('; ')
  return { ...nameMember(member), state: result.state, code, detail }
}

interface Installed {
  readonly file: KeyFile
  readonly result: InstallResult
  readonly member: Member
  readonly options: InstallFlags
}

/** Logs in with this key alone. Where the server refuses it, the connection that is still open helps to find out why. */
async function prove(
  { connection, again }: OnServer,
  signer: Signer,
  { file, result, member, options }: Installed,
  context: Context,
): Promise<string> {
  context.say.transient('verifying')
  try {
    return describeProof(await verifyKeyAlone(again, signer), result)
  } catch (error) {
    if (error instanceof HalfLogin) return halfProof
    const blind = isKeytoolError(error) ? unseen[error.code] : undefined
    if (!blind) throw error
    const { cause, evidence, remedy } = await explainRefusal(connection, file, signer.publicKey)
    const isLimited = (cause === 'unknown' || cause === 'rules') && options.options !== undefined
    const reasons = [
      describeResult(result),
      ...(isLimited ? [`the options it was given may not allow this login: ${options.options}`] : []),
      ...evidence,
    ]
    const isUnseen = reasons.length === 1
    if (isUnseen) reasons.push(blind.reason)
    throw new KeytoolError('failed', `${showDestination(member.destination)} does not let this key in`, {
      reason: reasons.join('; '),
      hint: `on the server: ${(isUnseen && blind.remedy) || remedy}`,
      cause: error,
    })
  }
}
