import type { AgentClient } from '@keytool/agent'
import type { PublicKey, Signer } from '@keytool/keygen'
import { type Connection, type ConnectOptions, connect, type HostProof } from '@keytool/tunnel'
import { openAgentIfThere } from '../agent-link.js'
import { canAskSecret } from '../ask.js'
import { bindAgent } from '../bind-agent.js'
import type { Context } from '../context.js'
import { keysLast } from '../keys-last.js'
import { openWay } from '../log-in.js'
import { connectOptions, heedBatchMode, withAgentOf } from '../log-in-at.js'
import type { LogInOptions } from '../log-in-options.js'
import { showNotice } from '../notices.js'
import type { Destination } from '../reach.js'
import { signersFor } from '../signers-for.js'
import type { Way } from '../way.js'
import { LoginQuestion } from './login-question.js'
import type { Member } from './member.js'
import { dialPatiently } from './patience.js'
import { runOf } from './run.js'

/** A server that let us in, and all it takes to get in once more with another key. */
export interface OnServer {
  readonly connection: Connection
  /** For `connect` and `verifyKeyAlone`: the same host by the same way. */
  readonly again: Omit<ConnectOptions, 'signers' | 'askPassword'>
}

export interface ServerLogin {
  readonly options: Pick<LogInOptions, 'passwordFile' | 'passphraseFile' | 'hostKey' | 'verbose'> & {
    readonly dryRun?: boolean
  }
  /**
   * Offered in this order, before a password is asked for. A password from a file is meant to be used: then only where the
   * server takes none, or wants a key besides.
   */
  readonly signers: readonly Signer[]
  /**
   * Whether the keys come behind them that `keytool connect` would offer to this host: that of the file of hosts or of
   * the session, or those of ssh_config, the agent and ~/.ssh.
   */
  readonly usualKeys?: boolean
  /** Keys that are not offered, whoever has them. */
  readonly isBarred?: (key: PublicKey) => boolean
}

/** Keys that are offered. sshd hangs up after six attempts, and three of them belong to the password, if one can be asked for. */
const MAX_OFFERED = { asking: 3, alone: 5 }

/**
 * Logs in on one host (through its hops, by ssh_config and sessions, by key or password), hands the connection over and
 * closes it afterwards, whatever came of it.
 * @throws KeytoolError as `connect` does, and what `use` throws
 */
export async function onServer<T>(
  member: Member,
  login: ServerLogin,
  context: Context,
  use: (server: OnServer) => Promise<T>,
): Promise<T> {
  const { destination } = member
  const { verbose = false } = login.options
  context.say.transient('connecting')
  const way = await wayTo(destination, { verbose }, context)
  try {
    return await through(way, member, login, context, use)
  } finally {
    await way.close()
  }
}

/** Those behind the same hosts go through them together. */
function wayTo(destination: Destination, options: LogInOptions, context: Context): Promise<Way> {
  const run = runOf(context)
  if (!run || destination.hops.length === 0) return openWay(destination, options, context.leaving, context)
  return run.ways.open(destination.hops, () => openWay(destination, options, context.leaving, context))
}

async function through<T>(
  way: Way,
  member: Member,
  login: ServerLogin,
  caller: Context,
  use: (server: OnServer) => Promise<T>,
): Promise<T> {
  const context = heedBatchMode(member.destination, caller)
  const run = runOf(caller)
  const question = new LoginQuestion(login.options.passwordFile, run, context)
  const options = connectOptions(member.destination, login.options, context)
  const { confirmHost } = options.hosts
  const again = {
    ...options,
    hosts: { ...options.hosts, confirmHost: confirmHost && question.confirmHost(confirmHost) },
    dial: run && run.size > 1 ? dialPatiently(way.dial, context) : way.dial,
    ...(caller.leaving && { signal: caller.leaving }),
  }
  const connection = await logIn(member, login, again, question, context)
  // Ctrl-C ends what is being done there, too.
  const leave = (): void => void connection.close()
  caller.leaving?.addEventListener('abort', leave)
  try {
    return await use({ connection, again })
  } finally {
    caller.leaving?.removeEventListener('abort', leave)
    await connection.close()
  }
}

async function logIn(
  member: Member,
  login: ServerLogin,
  again: OnServer['again'],
  question: LoginQuestion,
  context: Context,
): Promise<Connection> {
  const signers = new OfferedSigners(member, login, context)
  const isGiven = login.options.passwordFile !== undefined && again.methods !== undefined
  const once = () =>
    connect({
      ...again,
      ...(isGiven && { methods: keysLast(again.methods) }),
      onBinding: proof => signers.bind(proof),
      signers: async () => (await signers.all()).map(signer => question.beforeSigning(signer)),
      onNotice: (lines, kind) => {
        if (kind === 'question') question.tell(showNotice(member.destination, lines))
      },
      askPassword: question.askPassword,
    })
  try {
    const connection = await connectInTime(once, question)
    await question.accepted().catch(async error => {
      await connection.close()
      throw error
    })
    return connection
  } finally {
    question.release()
    signers.close()
  }
}

/** A server's patience may end while others are asked, or whoever is asked thinks. */
async function connectInTime(once: () => Promise<Connection>, question: LoginQuestion): Promise<Connection> {
  for (;;) {
    try {
      return await once()
    } catch (error) {
      if (!(await question.mayConnectAgain(error))) throw error
    }
  }
}

/** The keys for one host, with an agent that knows whom it signs for. */
class OfferedSigners {
  readonly #member: Member
  readonly #login: ServerLogin
  readonly #context: Context
  #agent: AgentClient | undefined
  /** What tells the agent whom it signs for. */
  #proof: HostProof | undefined

  constructor(member: Member, login: ServerLogin, context: Context) {
    this.#member = member
    this.#login = login
    this.#context = context
  }

  bind(proof: HostProof): Promise<void> {
    this.close()
    this.#proof = proof
    return Promise.resolve()
  }

  /** Only once keys are wanted: a password may do. */
  async #openAgent(): Promise<void> {
    const proof = this.#proof
    if (!proof || this.#agent) return
    const asked = withAgentOf(this.#member.destination, this.#context)
    const agent = asked && (await openAgentIfThere(asked))
    if (!agent) return
    if (await bindAgent(agent, proof)) {
      this.#agent = agent
      return
    }
    this.#context.say.note(`the agent at ${this.#context.say.path(agent.path)} does not answer: its keys are left out`)
    agent.close()
  }

  async all(): Promise<readonly Signer[]> {
    const { signers, usualKeys = false, isBarred = () => false } = this.#login
    if (!usualKeys) return signers
    await this.#openAgent()
    const { destination, identity } = this.#member
    const chosen = identity ?? destination.session?.key
    // Who asks for a passphrase is asked once for all hosts: the keys in files are those of the run.
    const shared = (this.#context.asksNobody ? undefined : runOf(this.#context)?.context) ?? this.#context
    const usual = await signersFor(chosen, destination.settings, this.#agent, this.#login.options, shared)
    const others = usual.filter(
      ({ publicKey }) => !isBarred(publicKey) && !signers.some(signer => signer.publicKey.equals(publicKey)),
    )
    return [...signers, ...others].slice(0, canAskSecret(this.#context) ? MAX_OFFERED.asking : MAX_OFFERED.alone)
  }

  close(): void {
    this.#agent?.close()
    this.#agent = undefined
  }
}
