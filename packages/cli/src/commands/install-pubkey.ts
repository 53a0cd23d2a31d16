import type { AgentClient } from '@keytool/agent'
import { isKeytoolError, KeytoolError, type PublicKey, type Signer, showForeign } from '@keytool/keygen'
import { checkKeyOptions, connect, installPublicKey, verifyKeyAlone } from '@keytool/tunnel'
import { openAgentIfThere } from '../agent-link.js'
import type { Context, Run } from '../context.js'
import { exitStatus } from '../exit.js'
import { publicHalf } from '../files.js'
import { openWay } from '../log-in.js'
import { connectOptions, heedBatchMode } from '../log-in-at.js'
import { parse } from '../options.js'
import { passwordSource } from '../password.js'
import { type Destination, reachFlags, resolveDestination, showDestination } from '../reach.js'
import { allSigners, defaultKeyFiles, signerFor } from '../signers.js'
import { count } from '../text.js'
import type { Way } from '../way.js'

const usage = {
  command: 'install-pubkey',
  takes: '<host...>',
  summary:
    'Put one public key into authorized_keys on each host, exactly once, and prove it by logging in with that key alone.',
  examples: ['install-pubkey hana@example.com', 'install-pubkey -i ~/.ssh/id_work -p 229 --dry-run hana@example.com'],
  options: [
    ['-i, --identity <file>', 'the key (default: id_ed25519, id_ecdsa or id_rsa of ~/.ssh)'],
    ...reachFlags,
    ['--options <options>', `what stands before the key there, such as 'from="192.0.2.*"'`],
    ['--dry-run', 'look, but write nothing, neither there nor here'],
    ['--password-file <file>', "the first line of FILE is the account's password (-: standard input)"],
    ['--passphrase-file <file>', "the first line of FILE is the key's passphrase (-: standard input)"],
    ['--host-key <fingerprint>', 'accept a server not known yet if it shows this key'],
  ],
} as const

interface Options {
  identity?: string
  port?: string
  login?: string
  jump?: string
  config?: string
  option?: string[]
  options?: string
  dryRun?: boolean
  passwordFile?: string
  passphraseFile?: string
  hostKey?: string
}

/** Keys offered before the password is asked for. sshd hangs up after six attempts, and three belong to the password. */
const MAX_OFFERED = 3

interface Outcome {
  readonly host: string
  readonly user?: string
  readonly state: 'added' | 'present' | 'would-add' | 'failed'
  /** Exit status of this host alone. */
  readonly code: number
  readonly detail: string
}

/** What all hosts share. */
interface Work {
  readonly key: PublicKey
  /** Signs with that key; absent when only its public half is here. */
  readonly signer: Signer | undefined
  /** What logs in where the password need not. */
  readonly others: readonly Signer[]
  readonly options: Options
}

export const run: Run = async (args, context) => {
  const parsed = parse<Options>(usage, args, context)
  if (!parsed) return 0
  const { words, options } = parsed
  const { say } = context
  if (options.passwordFile === '-' && options.passphraseFile === '-') {
    throw new KeytoolError('usage', 'only one secret can come from standard input')
  }
  if (options.options !== undefined) checkKeyOptions(options.options)
  // All words are understood before the first host hears of us.
  const destinations: Destination[] = []
  for (const word of words) destinations.push(await resolveDestination(word, options, context))
  const agent = await openAgentIfThere(context)
  try {
    const { key, signer } = await chooseKey(agent, options, context)
    const work = { key, signer, others: await allSigners(agent, options, context), options }
    const outcomes: Outcome[] = []
    for (const [index, destination] of destinations.entries()) {
      const outcome = await installOn(words[index] ?? '', destination, work, context)
      const { host, state, detail } = outcome
      // What went wrong was said as an error, with what to do.
      const text = state === 'failed' ? '' : ` ${detail}`
      say.line(`${showForeign(host)}  ${say.mark(outcome.code === 0)}${text}`)
      outcomes.push(outcome)
    }
    const bad = outcomes.filter(({ code }) => code !== 0)
    if (bad.length > 0 && outcomes.length > 1) {
      say.line(`${outcomes.length - bad.length} of ${count(outcomes.length, 'host')} ready. Again for the rest:`)
      say.line(
        `  ${context.name} install-pubkey ${without(args, outcomes, bad)
          .map(word => say.word(word))
          .join(' ')}`,
      )
    }
    say.facts(outcomes)
    return Math.max(...outcomes.map(({ code }) => code))
  } finally {
    agent?.close()
  }
}

async function installOn(word: string, destination: Destination, work: Work, context: Context): Promise<Outcome> {
  const { options, key, signer } = work
  const named = { host: word, user: destination.user }
  let way: Way | undefined
  try {
    way = await openWay(destination, {}, undefined, context)
    const shared = { ...connectOptions(destination, options, context), dial: way.dial }
    const connection = await connect({
      ...shared,
      signers: signersToLogIn(work),
      askPassword: passwordSource(options.passwordFile, heedBatchMode(destination, context)),
    })
    const result = await installPublicKey(connection, key, {
      dryRun: options.dryRun === true,
      ...(options.options !== undefined && { options: options.options }),
    }).finally(() => connection.close())
    const where = `${result.path}${result.line === undefined ? '' : ` line ${result.line}`}`
    if (result.state === 'would-add')
      return { ...named, state: result.state, code: 0, detail: `would be added to ${where}` }
    const what = result.state === 'added' ? `added to ${where}` : `was there already, ${where}`
    if (options.dryRun) return { ...named, state: result.state, code: 0, detail: what }
    if (!signer) {
      const detail = `${what}; not verified: the private key is not here`
      return { ...named, state: result.state, code: exitStatus.failed, detail }
    }
    await verifyKeyAlone(shared, signer).catch(error => {
      throw explainRefusal(error, what, destination)
    })
    return { ...named, state: result.state, code: 0, detail: `${what}, verified with this key alone` }
  } catch (error) {
    if (!isKeytoolError(error) || error.code === 'cancelled') throw error
    context.say.error(error)
    return { ...named, state: 'failed', code: exitStatus[error.code], detail: showForeign(error.message) }
  } finally {
    await way?.close()
  }
}

/** The same line without the hosts that are done. */
function without(args: readonly string[], outcomes: readonly Outcome[], bad: readonly Outcome[]): string[] {
  const done = outcomes.filter(outcome => !bad.includes(outcome)).map(({ host }) => host)
  return args.filter(word => !done.includes(word))
}

/** A password that was given is meant to be used. Otherwise keys may spare it: the chosen one first, then a few others. */
function signersToLogIn({ key, signer, others, options }: Work): Signer[] {
  if (options.passwordFile !== undefined) return []
  const rest = others.filter(other => !other.publicKey.equals(key))
  return [...(signer ? [signer] : []), ...rest].slice(0, MAX_OFFERED)
}

function explainRefusal(error: unknown, what: string, destination: Destination): unknown {
  if (!isKeytoolError(error) || error.code !== 'secret-wrong') return error
  return new KeytoolError('failed', `${showDestination(destination)} does not let this key in`, {
    reason: `${what}; its modes, AuthorizedKeysFile or the key's options may be the cause`,
    hint: 'the log of sshd on the server says why',
    cause: error,
  })
}

/** The one key that goes to the servers, and what proves it: named, or the first of ~/.ssh, or the only one in the agent. */
async function chooseKey(
  agent: AgentClient | undefined,
  options: Options,
  context: Context,
): Promise<{ key: PublicKey; signer: Signer | undefined }> {
  const path = options.identity ?? (await defaultKeyFiles(context))[0]
  if (path !== undefined) {
    const key = await publicHalf(path)
    // Opened before any host is touched: a key that can't be proved afterwards is not put anywhere.
    return { key, signer: await signerFor(path, key, options.dryRun ? 'later' : 'now', agent, options, context) }
  }
  const [only, another] = ((await agent?.signers()) ?? []).filter(({ certificate }) => !certificate)
  if (only && !another) return { key: only.publicKey, signer: only }
  throw new KeytoolError('not-found', `${context.places.ssh} holds no key with a default name`, {
    ...(another && { reason: 'the agent holds several: one has to be chosen' }),
    hint: `make one with ${context.name} gen, or name one with -i`,
  })
}
