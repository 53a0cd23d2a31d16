import type { AgentClient } from '@keytool/agent'
import { isKeytoolError, KeytoolError, type PublicKey, type Signer, showForeign } from '@keytool/keygen'
import { findAdmission, findLines, HalfLogin, openKeyFile, removePublicKey, verifyKeyAlone } from '@keytool/tunnel'
import { openAgentIfThere } from '../agent-link.js'
import type { Context, Run } from '../context.js'
import { exitStatus } from '../exit.js'
import { type FleetOptions, fleetFlags } from '../fleet/choose.js'
import { type ChosenKey, chooseKey } from '../fleet/chosen-key.js'
import type { ForgeFlags } from '../fleet/forge/forge.js'
import { type ForgeOptions, removalFlags, removeFromForge } from '../fleet/forge/on-forge.js'
import { type HostOutcome, type Member, nameMember } from '../fleet/member.js'
import { type OnServer, onServer } from '../fleet/on-server.js'
import { checkOneStdin } from '../fleet/one-stdin.js'
import { choosePlaces, overPlaces } from '../fleet/places.js'
import { reportOutcomes } from '../fleet/report.js'
import { parse } from '../options.js'
import { allSigners } from '../signers.js'
import { noteSigning } from './rotate/note-signing.js'

const usage = {
  command: 'remove-pubkey',
  takes: '[host...]',
  summary:
    'Take one public key out of authorized_keys on each host: every line that lets it in. A key that let us in goes only ' +
    'where a password or another key here would do, too, unless --force says so.',
  examples: [
    'remove-pubkey -i ~/.ssh/id_old.pub hana@example.com',
    'remove-pubkey -i lost.pub --hosts inventory.yml',
    'remove-pubkey -i lost.pub --github --token-file token',
  ],
  options: [
    ['-i, --identity <file>', 'the key (default: id_ed25519, id_ecdsa or id_rsa of ~/.ssh)'],
    ...fleetFlags,
    ['--force', 'also where no other way in is seen from here'],
    ['--dry-run', 'look, but write nothing, neither there nor here'],
    ['--password-file <file>', "the first line of FILE is the account's password (-: standard input)"],
    ['--passphrase-file <file>', "the first line of FILE is the key's passphrase (-: standard input)"],
    ['--host-key <fingerprint>', 'accept a server not known yet if it shows this key'],
    ...removalFlags,
  ],
} as const

interface Options extends FleetOptions, ForgeFlags, ForgeOptions {
  readonly identity?: string
  readonly force?: boolean
  readonly dryRun?: boolean
  readonly passwordFile?: string
  readonly passphraseFile?: string
  readonly hostKey?: string
}

/** Other keys that are tried for a way in besides: sshd hangs up after six, and some machines count every refusal. */
const MAX_OTHERS = 3

export const run: Run = async (args, context) => {
  const parsed = parse<Options>(usage, args, context)
  if (!parsed) return 0
  const { words, options } = parsed
  checkOneStdin(options)
  const places = await choosePlaces(words, options, context)
  const agent = await openAgentIfThere(context)
  try {
    const chosen = await chooseKey(options.identity, 'later', agent, options, context)
    const work = { chosen, signer: await signerOf(chosen, agent, options, context), agent, options }
    const outcomes = await overPlaces(
      places,
      options,
      context,
      forge => removeFromForge(forge, chosen.key, options, context),
      (member, own) => removeOn(member, work, own),
    )
    return reportOutcomes(outcomes, ['remove-pubkey', ...args], context, { flags: usage.options })
  } finally {
    agent?.close()
  }
}

/** What all hosts share. */
interface Work {
  readonly chosen: ChosenKey
  /** Signs with it, wherever its private half lies. */
  readonly signer: Signer | undefined
  readonly agent: AgentClient | undefined
  readonly options: Options
}

/** The private half may lie where ssh looks for it, and not beside the public one that was named. */
async function signerOf(
  { key, signer }: ChosenKey,
  agent: AgentClient | undefined,
  options: Options,
  context: Context,
): Promise<Signer | undefined> {
  return signer ?? (await allSigners(agent, options, context)).find(({ publicKey }) => publicKey.equals(key))
}

async function removeOn(member: Member, work: Work, context: Context): Promise<HostOutcome> {
  const { chosen, signer, options } = work
  const { key } = chosen
  const named = nameMember(member)
  const { dryRun = false, force = false } = options
  // Also where it was right and not enough, and a password came behind it.
  let letIn = false
  const signers = signer && options.passwordFile === undefined ? [noteSigning(signer, () => (letIn = true))] : []
  // From elsewhere it would let us in unseen.
  const isBarred = (each: PublicKey) => !force && each.equals(key)
  return onServer(member, { options, signers, usualKeys: true, isBarred }, context, async server => {
    context.say.transient('removing')
    const file = await openKeyFile(server.connection)
    if (letIn && !force && !takesPassword(server.connection) && findLines(await file.read(), key).length > 0) {
      await refuseLockout(server, work, context)
    }
    const { state, path, lines } = await removePublicKey(file, key, { dryRun })
    const where = `${showForeign(path)} ${lines.length === 1 ? 'line' : 'lines'} ${lines.join(', ')}`
    if (state === 'would-remove') return { ...named, state, code: 0, detail: `would be removed from ${where}` }
    const what = state === 'absent' ? `was not in ${showForeign(path)}` : `removed from ${where}`
    if (state === 'absent' && dryRun) return { ...named, state, code: 0, detail: what }
    // One that is not there may be let in all the same.
    context.say.transient('verifying')
    return { ...named, ...(await prove(server, work, { state, what }, context)) }
  })
}

/** Whether the key is refused now. That it is out of the file stands, whatever keeps it from being seen. */
async function prove(
  { again }: OnServer,
  { chosen: { key }, signer }: Work,
  { state, what }: { readonly state: string; readonly what: string },
  context: Context,
): Promise<Pick<HostOutcome, 'state' | 'code' | 'detail'>> {
  try {
    const admitted = await findAdmission(again, key, signer)
    if (!admitted) return { state, code: 0, detail: state === 'absent' ? what : `${what}, refused since` }
    const by = admitted.admittedBy
    const still = by ? `by ${showForeign(by.path)} line ${by.line}` : 'by something else on the server'
    return { state: 'still-admitted', code: exitStatus.failed, detail: `${what}, and let in all the same ${still}` }
  } catch (error) {
    if (!isKeytoolError(error) || error.code === 'cancelled' || context.leaving?.aborted) throw error
    if (state === 'absent') return { state, code: 0, detail: what }
    const detail = `${what}; that it is refused could not be seen: ${showForeign(error.message)}`
    return { state, code: exitStatus[error.code], detail }
  }
}

/** Whether a password would do as well: the server has offered it in the place of a key, and not asked for both. */
function takesPassword({ admission: { method, offered } }: OnServer['connection']): boolean {
  const offers = (name: string) => offered.includes(name)
  return method === 'publickey' && offers('publickey') && (offers('password') || offers('keyboard-interactive'))
}

/** The key that let us in may be the only one that does. Another one is looked for that really logs in. */
async function refuseLockout(
  { connection, again }: OnServer,
  { chosen, agent, options }: Work,
  context: Context,
): Promise<void> {
  const others = (await allSigners(agent, options, context)).filter(({ publicKey }) => !publicKey.equals(chosen.key))
  // What came behind this key comes behind another one, too.
  const isHalfEnough = connection.admission.method !== 'publickey'
  for (const other of others.slice(0, MAX_OTHERS)) if (await isLetIn(again, other, isHalfEnough)) return
  throw new KeytoolError('refused', 'this very key let us in, and no other key here is let in', {
    reason: 'nothing was changed: without it you might be locked out',
    hint: 'log in by password (--password-file), or say --force',
  })
}

/** One that nobody can open here is no way in, whatever the server thinks of it. */
const noWayIn: readonly string[] = ['secret-wrong', 'secret-needed', 'not-found', 'damaged', 'unsupported']

async function isLetIn(again: OnServer['again'], signer: Signer, isHalfEnough: boolean): Promise<boolean> {
  try {
    await verifyKeyAlone(again, signer)
    return true
  } catch (error) {
    if (error instanceof HalfLogin) return isHalfEnough
    if (!isKeytoolError(error) || !noWayIn.includes(error.code)) throw error
    return false
  }
}
