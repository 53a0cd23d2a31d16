import type { AgentClient } from '@keytool/agent'
import { isKeytoolError, KeytoolError, type Signer, showForeign } from '@keytool/keygen'
import { findLines, openDoor, openKeyFile, type RotationDoor, removePublicKey } from '@keytool/tunnel'
import { openAgentIfThere } from '../agent-link.js'
import type { Context, Run } from '../context.js'
import { exitStatus } from '../exit.js'
import { chooseMembers, type FleetOptions, fleetFlags } from '../fleet/choose.js'
import { type ChosenKey, chooseKey } from '../fleet/chosen-key.js'
import { type HostOutcome, type Member, nameMember } from '../fleet/member.js'
import { type OnServer, onServer } from '../fleet/on-server.js'
import { checkOneStdin } from '../fleet/one-stdin.js'
import { overHosts } from '../fleet/over-hosts.js'
import { reportOutcomes } from '../fleet/report.js'
import { parse } from '../options.js'
import { allSigners } from '../signers.js'
import { noteSigning } from './rotate/note-signing.js'

const usage = {
  command: 'remove-pubkey',
  takes: '[host...]',
  summary:
    'Take one public key out of authorized_keys on each host: every line that lets it in. A key that let us in goes only ' +
    'where another one here is let in, too, unless --force says so.',
  examples: ['remove-pubkey -i ~/.ssh/id_old.pub hana@example.com', 'remove-pubkey -i lost.pub --hosts inventory.yml'],
  options: [
    ['-i, --identity <file>', 'the key (default: id_ed25519, id_ecdsa or id_rsa of ~/.ssh)'],
    ...fleetFlags,
    ['--force', 'also where no other way in is seen from here'],
    ['--dry-run', 'look, but write nothing, neither there nor here'],
    ['--password-file <file>', "the first line of FILE is the account's password (-: standard input)"],
    ['--passphrase-file <file>', "the first line of FILE is the key's passphrase (-: standard input)"],
    ['--host-key <fingerprint>', 'accept a server not known yet if it shows this key'],
  ],
} as const

interface Options extends FleetOptions {
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
  const members = await chooseMembers(words, options, context)
  const agent = await openAgentIfThere(context)
  try {
    const chosen = await chooseKey(options.identity, 'later', agent, options, context)
    const work = { chosen, agent, options }
    const outcomes = await overHosts(members, options, context, (member, own) => removeOn(member, work, own))
    return reportOutcomes(outcomes, ['remove-pubkey', ...args], context, { flags: usage.options })
  } finally {
    agent?.close()
  }
}

/** What all hosts share. */
interface Work {
  readonly chosen: ChosenKey
  readonly agent: AgentClient | undefined
  readonly options: Options
}

async function removeOn(member: Member, work: Work, context: Context): Promise<HostOutcome> {
  const { chosen, options } = work
  const { key, signer } = chosen
  const named = nameMember(member)
  const { dryRun = false, force = false } = options
  let letIn = false
  const signers = signer && options.passwordFile === undefined ? [noteSigning(signer, () => (letIn = true))] : []
  return onServer(member, { options, signers, usualKeys: true }, context, async server => {
    letIn &&= server.connection.admission.method === 'publickey'
    context.say.transient('removing')
    const file = await openKeyFile(server.connection)
    const door = openDoor(server)
    if (letIn && !force && findLines(await file.read(), key).length > 0) {
      await refuseLockout(door, work, context)
    }
    const { state, path, lines } = await removePublicKey(file, key, { dryRun })
    const where = `${showForeign(path)} ${lines.length === 1 ? 'line' : 'lines'} ${lines.join(', ')}`
    if (state === 'would-remove') return { ...named, state, code: 0, detail: `would be removed from ${where}` }
    const what = state === 'absent' ? `was not in ${showForeign(path)}` : `removed from ${where}`
    // One that is not there and did not let us in is let in no more: nothing was changed by us.
    if (state === 'absent' && !letIn) return { ...named, state, code: 0, detail: what }
    context.say.transient('verifying')
    return { ...named, ...(await prove(server, work, { state, what }, context)) }
  })
}

/** Whether the key is refused now. That it is out of the file stands, whatever keeps it from being seen. */
async function prove(
  { connection, again }: OnServer,
  { chosen: { key, signer } }: Work,
  { state, what }: { readonly state: string; readonly what: string },
  context: Context,
): Promise<Pick<HostOutcome, 'state' | 'code' | 'detail'>> {
  try {
    const admitted = await openDoor({ connection, again }).admits(key, signer)
    if (!admitted) return { state, code: 0, detail: state === 'absent' ? what : `${what}, refused since` }
    const by = admitted.admittedBy
    const still = by ? `by ${showForeign(by.path)} line ${by.line}` : 'by something else on the server'
    return { state: 'still-admitted', code: exitStatus.failed, detail: `${what}, and let in all the same ${still}` }
  } catch (error) {
    if (!isKeytoolError(error) || error.code === 'cancelled' || context.leaving?.aborted) throw error
    const detail = `${what}; that it is refused could not be seen: ${showForeign(error.message)}`
    return { state, code: exitStatus[error.code], detail }
  }
}

/** The key that let us in may be the only one that does. Another one that the server takes is looked for. */
async function refuseLockout(door: RotationDoor, { chosen, agent, options }: Work, context: Context): Promise<void> {
  const others = (await allSigners(agent, options, context)).filter(({ publicKey }) => !publicKey.equals(chosen.key))
  for (const other of others.slice(0, MAX_OTHERS)) if (await isLetIn(door, other)) return
  throw new KeytoolError('refused', 'this very key let us in, and no other key here is let in', {
    reason: 'nothing was changed: without it you might be locked out',
    hint: 'log in by password (--password-file), or say --force',
  })
}

async function isLetIn(door: RotationDoor, signer: Signer): Promise<boolean> {
  return (await door.admits(signer.publicKey, signer)) !== undefined
}
