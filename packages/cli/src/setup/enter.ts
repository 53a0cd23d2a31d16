import { type AgentClient, connectAgent } from '@keytool/agent'
import { isKeytoolError, type PublicKey, type Signer } from '@keytool/keygen'
import { type Connection, type ConnectOptions, connect, type HostPolicy, type UnknownHost } from '@keytool/tunnel'
import { bindAgent } from '../bind-agent.js'
import { isAsleep, placeOf } from '../commands/agent/options.js'
import type { Context } from '../context.js'
import { keysLast } from '../keys-last.js'
import { openWay } from '../log-in.js'
import { connectOptions, heedBatchMode } from '../log-in-at.js'
import { tellNotices } from '../notices.js'
import { passwordSource } from '../password.js'
import type { Destination } from '../reach.js'
import { openOurs, type SetupKey } from './job.js'
import { withSigner } from './signer.js'

/** A login on the server that nothing was written for: who was met is noted by the step that says so. */
export interface Entry {
  readonly connection: Connection
  /** Whether the key alone has let us in, so that all of its way is proved. */
  readonly byKey: boolean
  /** The key that the server shows, where it was said yes to just now. */
  readonly newHostKey: PublicKey | undefined
  /** For one more login, by the same way. */
  readonly again: Again
  close(): Promise<void>
}

type Again = Omit<ConnectOptions, 'signers' | 'askPassword'> & Required<Pick<ConnectOptions, 'methods'>>

export interface EnterOptions {
  readonly hostKey?: string | undefined
  readonly passwordFile?: string | undefined
  /** Tried alone before all else, where it can sign. */
  readonly key: SetupKey
  /** The agent that this shell asks, where that is not ours: its keys, as ours' do, may spare the password. */
  readonly otherAgent: string | undefined
}

/** sshd hangs up after six attempts, and three belong to the password. */
const MAX_OTHERS = 2
/** Another program's agent that is well answers at once. In milliseconds. */
const PATIENCE = 5_000

/**
 * Logs in once: by the key, or else by whatever else opens, with the password last. The host is asked about once.
 * @throws KeytoolError as `connect` does
 */
export async function enter(destination: Destination, options: EnterOptions, context: Context): Promise<Entry> {
  const { hostKey, key } = options
  const way = await openWay(destination, {}, undefined, context)
  try {
    const common = connectOptions(destination, { ...(hostKey !== undefined && { hostKey }), dryRun: true }, context)
    let confirmed: UnknownHost | undefined
    const hosts = askingOnce(common.hosts, host => {
      confirmed = host
    })
    const again = { ...common, hosts, dial: way.dial, updateHostKeys: false }
    const byKey = key.publicKey && (await enterByKey(again, key, context))
    const connection = byKey ?? (await enterOtherwise(again, destination, options, context))
    return {
      ...{ connection, again },
      byKey: byKey?.admission.method === 'publickey',
      get newHostKey() {
        return confirmed?.key
      },
      async close() {
        await connection.close()
        await way.close()
      },
    }
  } catch (error) {
    await way.close()
    throw error
  }
}

/** `undefined` where the server does not take the key, or what holds it does not sign: the password may do. */
async function enterByKey(again: Again, key: SetupKey, context: Context): Promise<Connection | undefined> {
  let isUnsigned = false
  try {
    return await withSigner(key, context, async (signer, binding) => {
      if (!signer) return undefined
      const { publicKey } = signer
      const sign: Signer['sign'] = (data, options) =>
        signer.sign(data, options).catch(error => {
          isUnsigned = true
          throw error
        })
      const signers = [{ publicKey, sign }]
      return connect({ ...again, ...binding, methods: ['publickey'], signers, askPassword: undefined })
    })
  } catch (error) {
    if (isKeytoolError(error) && (isUnsigned || passable.includes(error.code))) return undefined
    throw error
  }
}

const passable: readonly string[] = ['secret-wrong', 'secret-needed']

/** By another key of an agent's, or by password. A password that was given is meant to be used. */
async function enterOtherwise(
  again: Again,
  destination: Destination,
  { passwordFile, otherAgent, key }: EnterOptions,
  context: Context,
): Promise<Connection> {
  const agents = await openAgents(otherAgent, context)
  try {
    return await connect({
      ...again,
      ...(passwordFile !== undefined && { methods: keysLast(again.methods) }),
      onBinding: async proof => void (await Promise.all(agents.map(agent => bindAgent(agent, proof)))),
      signers: async () => {
        const held = await Promise.all(agents.map(agent => agent.signers().catch(() => [])))
        const others = held.flat().filter(({ publicKey }) => !(key.publicKey && publicKey.equals(key.publicKey)))
        return others.slice(0, MAX_OTHERS)
      },
      onNotice: tellNotices(destination, false, context),
      askPassword: passwordSource(passwordFile, heedBatchMode(destination, context)),
    })
  } finally {
    for (const agent of agents) agent.close()
  }
}

/** Those that run: nobody is woken for what may not be needed. */
async function openAgents(other: string | undefined, context: Context): Promise<readonly AgentClient[]> {
  const open = async (path: string) => connectAgent(path, { timeout: PATIENCE }).catch(() => undefined)
  const ours = (await isAsleep(placeOf({}, context), context)) ? undefined : await openOurs(context)
  const agents = [other === undefined ? undefined : await open(other), ours]
  return agents.filter(agent => agent !== undefined)
}

/** The policy that asks about a host once, however many connections there are. */
function askingOnce(policy: HostPolicy, onConfirmed: (host: UnknownHost) => void): HostPolicy {
  const { confirmHost, strict } = policy
  const isUnasked = strict === 'accept-new' || strict === 'no'
  let known: Buffer | undefined
  return {
    ...policy,
    // What is taken unasked is noted by the step that says so, too.
    ...(isUnasked && { strict: 'ask' as const }),
    confirmHost: async host => {
      if (known?.equals(host.key.blob)) return true
      if (!isUnasked && !(await confirmHost?.(host))) return false
      known = host.key.blob
      onConfirmed(host)
      return true
    },
  }
}
