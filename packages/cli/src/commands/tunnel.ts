import type { AgentClient } from '@keytool/agent'
import { isKeytoolError, KeytoolError, type Signer, showForeign } from '@keytool/keygen'
import {
  type Connection,
  connect,
  type ForwardKind,
  formatPlace,
  holdTunnel,
  isOpenToOthers,
  type LocalForward,
  type LocalForwardSpec,
  parseForward,
  type Session,
  type Tunnel,
} from '@keytool/tunnel'
import { openAgentIfThere } from '../agent-link.js'
import type { Context, Run } from '../context.js'
import { publicHalf } from '../files.js'
import { checkDistinct } from '../forwards.js'
import { hostPolicy } from '../hosts.js'
import { parse } from '../options.js'
import { type Destination, nearSession, passwordSource, resolveDestination, showDestination } from '../reach.js'
import { allSigners, signerFor } from '../signers.js'

const usage = {
  command: 'tunnel',
  takes: '<destination>',
  summary: 'Hold forwards up until Ctrl-C. DESTINATION is a saved session or [USER@]HOST.',
  examples: ['tunnel mail', 'tunnel hana@example.com -p 229 -L 1110:localhost:110 -L 1025:localhost:25'],
  options: [
    ['-L, --local <forward>', '[bind:]port:host:hostport, may be given again', 'many'],
    ['-R, --remote <forward>', 'not carried yet', 'many'],
    ['-D, --dynamic <forward>', 'not carried yet', 'many'],
    ['-p, --port <port>', "the server's port"],
    ['-l, --login <user>', 'who logs in'],
    ['-i, --identity <file>', 'the key to log in with, and no other'],
    ['--passphrase-file <file>', "the first line of FILE is the key's passphrase (-: standard input)"],
    ['--password-file <file>', "the first line of FILE is the account's password (-: standard input)"],
    ['--host-key <fingerprint>', 'accept a server not known yet if it shows this key'],
  ],
} as const

interface Options {
  local?: string[]
  remote?: string[]
  dynamic?: string[]
  port?: string
  login?: string
  identity?: string
  passphraseFile?: string
  passwordFile?: string
  hostKey?: string
}

export const run: Run = async (args, context) => {
  const parsed = parse<Options>(usage, args, context)
  if (!parsed) return 0
  const { options } = parsed
  const { say } = context
  const destination = await resolveDestination(parsed.words[0] ?? '', options, context)
  const forwards = await readForwards(parsed.words[0] ?? '', options, destination.session, context)
  checkDistinct(forwards)
  for (const forward of forwards.filter(isOpenToOthers)) {
    say.note(`port ${forward.port} is open to other machines, as you wrote it`)
  }
  const tunnel = holdTunnel({
    target: showDestination(destination),
    forwards,
    connect: signal => logIn(destination, options, signal, context),
    onForward: forward => say.line(describe(forward)),
    onTrouble: sayOnce(context),
  })
  return holdUntilStopped(tunnel, destination, context)
}

/** A mail program that tries again every second should not fill the screen: the same trouble is said once a minute. */
function sayOnce({ say }: Context): (forward: LocalForwardSpec, error: unknown) => void {
  const said = new Map<string, number>()
  return ({ port, to }, error) => {
    if (!isKeytoolError(error)) return
    const text = `${port} -> ${formatPlace(to.host, to.port)}: ${error.message}`
    const now = Date.now()
    if (now - (said.get(text) ?? 0) < 60_000) return
    said.set(text, now)
    say.note(showForeign(text))
  }
}

async function holdUntilStopped(tunnel: Tunnel, destination: Destination, context: Context): Promise<number> {
  const { say } = context
  const stop = () => void tunnel.stop()
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, stop)
  try {
    await tunnel.up
    say.line(`protected as far as ${destination.host}; what lies behind it is not`)
    say.facts({
      state: tunnel.state.name,
      forwards: tunnel.forwards.map(({ spec, address }) => ({
        kind: spec.kind,
        listen: formatPlace(address.host, address.port),
        to: formatPlace(spec.to.host, spec.to.port),
      })),
    })
    const error = await tunnel.done
    if (error) throw error
    return 0
  } finally {
    await tunnel.stop()
    for (const signal of signals) process.off(signal, stop)
  }
}

async function logIn(
  destination: Destination,
  options: Options,
  signal: AbortSignal,
  context: Context,
): Promise<Connection> {
  const { host, port, user, session } = destination
  const { hostKey, passwordFile } = options
  const agent = await openAgentIfThere(context)
  let offered = 0
  try {
    const path = options.identity ?? session?.key
    return await connect({
      host,
      port,
      user,
      signal,
      hosts: hostPolicy({ ...(hostKey !== undefined && { hostKey }) }, context),
      signers: async () => {
        const signers = await signersFor(path, agent, options, context)
        offered = signers.length
        return signers
      },
      askPassword: passwordSource(passwordFile, context, () => whyPassword(agent !== undefined, offered, context)),
      onUnsaved: error => context.say.note(`${error.message}: ${error.reason ?? ''}`),
    })
  } finally {
    agent?.close()
  }
}

async function signersFor(
  path: string | undefined,
  agent: AgentClient | undefined,
  options: Options,
  context: Context,
): Promise<Signer[]> {
  if (path === undefined) return allSigners(agent, options, context)
  const signer = await signerFor(path, await publicHalf(path), 'later', agent, options, context)
  if (signer) return [signer]
  throw new KeytoolError('not-found', `only the public half of ${path} is here`, {
    hint: 'load the private key into the agent, or name its file with -i',
  })
}

/** Why it comes to a password at all: after a restart the answer is mostly that no agent runs. */
function whyPassword(hasAgent: boolean, offered: number, { name }: Context): string {
  if (offered > 0) return `the server does not take ${offered === 1 ? 'the key' : `any of the ${offered} keys`} offered`
  return hasAgent ? `the agent holds no key: ${name} add` : `no agent answers: eval "$(${name} agent)"`
}

async function readForwards(
  word: string,
  options: Options,
  session: Session | undefined,
  context: Context,
): Promise<LocalForwardSpec[]> {
  const kinds: readonly ForwardKind[] = ['local', 'remote', 'dynamic']
  const forwards = kinds.flatMap(kind => {
    const texts = [...(session?.forwards[kind] ?? []), ...(options[kind] ?? [])]
    return texts.map(text => parseForward(kind, text))
  })
  if (forwards.length > 0) return forwards
  // A word that is neither a session nor has forwards beside it is mostly a session's name, mistyped.
  const near = session ? undefined : (await nearSession(word, context))?.hint
  throw new KeytoolError('usage', 'there is nothing to forward', {
    ...(!session && { reason: `there is no session ${word}` }),
    hint: near?.startsWith('did you mean') ? near : 'say it with -L, or save it in a session',
  })
}

function describe({ spec, address }: LocalForward): string {
  return `${formatPlace(address.host, address.port)} -> ${formatPlace(spec.to.host, spec.to.port)}`
}
