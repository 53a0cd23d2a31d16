import { type AgentClient, openAgentStream } from '@keytool/agent'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import {
  type AuthMethod,
  authMethodsIn,
  type Connection,
  type ConnectOptions,
  connect,
  type HostProof,
  weakAlgorithmsIn,
} from '@keytool/tunnel'
import { openAgentIfThere } from './agent-link.js'
import { canAskSecret } from './ask.js'
import { bindAgent } from './bind-agent.js'
import { askingNobody, type Context, leavingWith } from './context.js'
import { isLocked } from './held-keys.js'
import { fromHome } from './home-path.js'
import { followHostKeys, policyFor } from './hosts-of.js'
import type { LogInOptions } from './log-in-options.js'
import { isHushed, tellNotices } from './notices.js'
import { passwordSource } from './password.js'
import type { Destination } from './reach.js'
import { signersFor } from './signers-for.js'
import { connectTime, type Way } from './way.js'

/** In seconds: without signs of life, a connection that is lost looks like one where nothing is said. */
const ALIVE_INTERVAL = 15

/** Logs in on one host, by a way that leads there. */
export async function logInAt(
  destination: Destination,
  way: Way,
  options: LogInOptions,
  signal: AbortSignal | undefined,
  caller: Context,
): Promise<Connection> {
  const { settings, session } = destination
  const context = heedBatchMode(destination, caller)
  const asked = withAgentOf(destination, context)
  let agent = asked && (await openAgentIfThere(asked))
  // A server that has lost its patience ends the question that it had us ask, too.
  const over = new AbortController()
  const asking = leavingWith(context, over.signal)
  let offered = 0
  let keepsBack: string | undefined
  let proof: HostProof | undefined
  const chosen = options.identity === undefined ? session?.key : fromHome(options.identity, caller)
  const forwarded = forwardedAgent(destination, options, agent)
  const { methods, tries, ...common } = connectOptions(destination, options, asking)
  const isAllowed = tries !== 0 && methods.some(method => method !== 'publickey')
  // Without anybody to ask, a key that is refused is the whole story: it can't heal by waiting for an answer.
  const mayAsk = isAllowed && (options.passwordFile !== undefined || canAskSecret(context))
  const why = () => keepsBack ?? whyPassword(agent !== undefined, offered, context)
  try {
    return await connect({
      ...common,
      ...{ methods, ...(tries !== undefined && { tries }) },
      dial: way.dial,
      ...(signal && { signal }),
      onBinding: async found => {
        proof = found
        if (!agent || (await bindAgent(agent, found))) return
        context.say.note(`the agent at ${context.say.path(agent.path)} does not answer: its keys are left out`)
        agent.close()
        agent = undefined
      },
      ...(forwarded !== undefined && {
        openAgent: async () => {
          // Without it the agent would not know whom it signs for.
          if (!proof) throw new KeytoolError('refused', 'the host has not proved its key: no agent is forwarded to it')
          return openAgentStream(forwarded, { ...proof, forwarding: true })
        },
      }),
      signers: async () => {
        const signers = await signersFor(chosen, settings, agent, options, context)
        offered = signers.length
        if (offered === 0 && agent) keepsBack = await whyNoKeys(agent, context)
        return signers
      },
      onNotice: tellNotices(destination, options.tellsBanner === true && !isHushed(settings), context),
      askPassword: mayAsk ? passwordSource(options.passwordFile, asking, why) : undefined,
    })
  } catch (error) {
    if (mayAsk || offered > 0 || !isAllowed) throw error
    throw explainNothingOffered(error, destination, `${why()}; ${whyNobody(context)}`)
  } finally {
    over.abort()
    agent?.close()
  }
}

/** What every connection to this host has in common, however its login goes. */
export function connectOptions(
  destination: Destination,
  options: { readonly hostKey?: string; readonly dryRun?: boolean; readonly verbose?: boolean },
  context: Context,
): Omit<ConnectOptions, 'signers' | 'askPassword'> & { readonly methods: readonly AuthMethod[] } {
  const { host, port, user, settings, session } = destination
  const { serverAliveInterval, serverAliveCountMax = 3, numberOfPasswordPrompts: tries } = settings
  const hosts = policyFor(destination, options, heedBatchMode(destination, context))
  return {
    ...{ host, port, user, hosts },
    methods: authMethodsIn(settings),
    ...(tries !== undefined && { tries }),
    algorithms: settings,
    weak: [...new Set([...(session?.weak ?? []), ...weakAlgorithmsIn(settings)])],
    handshakeTime: connectTime(settings),
    keepalive: { interval: (serverAliveInterval || ALIVE_INTERVAL) * 1000, count: serverAliveCountMax },
    onUnsaved: error => {
      if (!isHushed(settings)) context.say.note(`${error.message}: ${error.reason ?? ''}`)
    },
    ...followHostKeys(destination, options.verbose === true, context),
  }
}

/** The context in which nobody is asked, where ssh_config says so for this host. */
export function heedBatchMode({ settings }: Destination, context: Context): Context {
  return settings.batchMode ? askingNobody(context) : context
}

/** The context in which the agent is the one that IdentityAgent names; `undefined` when it forbids any. */
export function withAgentOf({ settings }: Destination, context: Context): Context | undefined {
  const { identityAgent } = settings
  if (identityAgent === undefined) return context
  if (identityAgent === 'none') return undefined
  const env = { ...context.env, SSH_AUTH_SOCK: identityAgent.path }
  return Object.create(context, { env: { value: env, enumerable: true } }) as Context
}

/** Why an agent that answers gives no key, where it has any. */
async function whyNoKeys(agent: AgentClient, { name }: Context): Promise<string | undefined> {
  if (await isLocked(agent).catch(() => undefined)) return `the agent is locked: ${name} unlock`
  const held = await agent.list().catch(() => [])
  return held.length > 0
    ? `ssh_config leaves out ${held.length === 1 ? 'the key' : 'all keys'} that the agent holds`
    : undefined
}

/** Path of the agent that goes along, if one does. */
function forwardedAgent(
  { settings, session }: Destination,
  options: LogInOptions,
  agent: AgentClient | undefined,
): string | undefined {
  const wanted = options.forwardAgent ?? session?.forwardAgent ?? settings.forwardAgent ?? false
  if (typeof wanted === 'object') return wanted.path
  return wanted ? agent?.path : undefined
}

/** There was no key, and nobody to ask for a password. */
function explainNothingOffered(error: unknown, { user, host }: Destination, reason: string): unknown {
  if (!isKeytoolError(error) || error.code !== 'secret-needed') return error
  return new KeytoolError('secret-needed', `there is nothing to log in with as ${user}@${host}`, {
    reason,
    hint: 'load a key, name one with -i, or pass the password with --password-file FILE (-: standard input)',
    cause: error,
  })
}

function whyNobody({ asksNobody }: Context): string {
  return asksNobody ? 'BatchMode has nobody asked for a password' : 'there is no terminal to ask for a password on'
}

/** Why it comes to a password at all: after a restart the answer is mostly that no agent runs. */
function whyPassword(hasAgent: boolean, offered: number, { name }: Context): string {
  if (offered > 0) return `the server does not take ${offered === 1 ? 'the key' : `any of the ${offered} keys`} offered`
  return hasAgent ? `the agent holds no key: ${name} add` : `no agent answers: eval "$(${name} agent)"`
}
