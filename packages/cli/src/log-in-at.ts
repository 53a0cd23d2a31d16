import { type AgentClient, openAgentStream } from '@keytool/agent'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { type Connection, type ConnectOptions, connect, type HostProof, weakAlgorithmsIn } from '@keytool/tunnel'
import { openAgentIfThere } from './agent-link.js'
import { canAskSecret } from './ask.js'
import { type Context, leavingWith } from './context.js'
import { followHostKeys, policyFor } from './hosts-of.js'
import type { LogInOptions } from './log-in.js'
import { passwordSource } from './password.js'
import type { Destination } from './reach.js'
import { signersFor } from './signers-for.js'
import type { Way } from './way.js'

/** In seconds: without signs of life, a connection that is lost looks like one where nothing is said. */
const ALIVE_INTERVAL = 15

/** Logs in on one host, by a way that leads there. */
export async function logInAt(
  destination: Destination,
  way: Way,
  options: LogInOptions,
  signal: AbortSignal | undefined,
  context: Context,
): Promise<Connection> {
  const { settings, session } = destination
  const asked = withAgentOf(destination, context)
  const agent = asked && (await openAgentIfThere(asked))
  // A server that has lost its patience ends the question that it had us ask, too.
  const over = new AbortController()
  const asking = leavingWith(context, over.signal)
  let offered = 0
  let proof: HostProof | undefined
  const forwarded = forwardedAgent(destination, options, agent)
  const isAllowed = settings.passwordAuthentication !== false || settings.kbdInteractiveAuthentication !== false
  // Without anybody to ask, a key that is refused is the whole story: it can't heal by waiting for an answer.
  const mayAsk = isAllowed && (options.passwordFile !== undefined || canAskSecret(context))
  const why = () => whyPassword(agent !== undefined, offered, context)
  try {
    return await connect({
      ...connectOptions(destination, options, asking),
      dial: way.dial,
      ...(signal && { signal }),
      onBinding: async found => {
        proof = found
        // One that does not know sessions signs all the same; one that says no to this says no to the signature, too.
        await agent?.bind({ ...found, forwarding: false }).catch(() => {})
      },
      ...(forwarded !== undefined && {
        openAgent: () => openAgentStream(forwarded, proof && { ...proof, forwarding: true }),
      }),
      signers: async () => {
        if (settings.pubkeyAuthentication === false) return []
        const signers = await signersFor(options.identity ?? session?.key, settings, agent, options, context)
        offered = signers.length
        return signers
      },
      askPassword: mayAsk ? passwordSource(options.passwordFile, asking, why) : undefined,
    })
  } catch (error) {
    throw mayAsk || offered > 0 ? error : explainNothingOffered(error, destination, why())
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
): Omit<ConnectOptions, 'signers' | 'askPassword'> {
  const { host, port, user, settings, session } = destination
  const { serverAliveInterval, serverAliveCountMax = 3 } = settings
  const hosts = policyFor(destination, options, context)
  return {
    ...{ host, port, user, hosts },
    weak: [...new Set([...(session?.weak ?? []), ...weakAlgorithmsIn(settings)])],
    keepalive: { interval: (serverAliveInterval || ALIVE_INTERVAL) * 1000, count: serverAliveCountMax },
    onUnsaved: error => context.say.note(`${error.message}: ${error.reason ?? ''}`),
    ...followHostKeys(destination, options.verbose === true, context),
  }
}

/** The context in which the agent is the one that IdentityAgent names; `undefined` when it forbids any. */
function withAgentOf({ settings }: Destination, context: Context): Context | undefined {
  const { identityAgent } = settings
  if (identityAgent === undefined) return context
  if (identityAgent === 'none') return undefined
  const env = { ...context.env, SSH_AUTH_SOCK: identityAgent.path }
  return Object.create(context, { env: { value: env, enumerable: true } }) as Context
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
    reason: `${reason}; there is no terminal to ask for a password on`,
    hint: 'load a key, name one with -i, or pass the password with --password-file FILE (-: standard input)',
    cause: error,
  })
}

/** Why it comes to a password at all: after a restart the answer is mostly that no agent runs. */
function whyPassword(hasAgent: boolean, offered: number, { name }: Context): string {
  if (offered > 0) return `the server does not take ${offered === 1 ? 'the key' : `any of the ${offered} keys`} offered`
  return hasAgent ? `the agent holds no key: ${name} add` : `no agent answers: eval "$(${name} agent)"`
}
