import { resolve } from 'node:path'
import { type AgentClient, findLoginService, type KeyRule, type LoginFacts, publicKeyOf } from '@keytool/agent'
import { readPlain } from '@keytool/agent/platform'
import { detectPrivate, fingerprint, isKeytoolError, nameOfHost, type PublicKey, showForeign } from '@keytool/keygen'
import { knownAs } from '@keytool/tunnel'
import { openAgentIfThere } from '../../agent-link.js'
import type { Context } from '../../context.js'
import { publicHalf } from '../../files.js'
import { readReports } from '../../held-keys.js'
import { policyFor } from '../../hosts-of.js'
import { isAbout, readRules } from '../../login-keys.js'
import { type Destination, showDestination } from '../../reach.js'
import { defaultKeyFiles } from '../../signers.js'

/**
 * What would keep a tunnel from coming up at login, where nobody is there to be asked: in words, each with what to type. Asks
 * known_hosts, key files and the agent, and no server.
 */
export async function foreseeTroubles(
  name: string,
  destination: Destination,
  facts: LoginFacts,
  context: Context,
): Promise<string[]> {
  const way = [...destination.hops, destination]
  try {
    const unknown: string[] = []
    for (const each of way) if (!(await isKnown(each, context))) unknown.push(nameOfHost(each.host, each.port))
    const hosts = unknown.map(host => showForeign(host)).join(', ')
    const first = `${context.name} tunnel ${name}, and Ctrl-C once it is up`
    const notes = unknown.length > 0 ? [`nobody has said yes to the host key of ${hosts} yet; first: ${first}`] : []
    for (const each of way) notes.push(...(await foreseeLogin(each, facts, context)))
    return [...new Set(notes)]
  } catch (error) {
    // A file that can't be read is what the tunnel itself will say.
    if (!isKeytoolError(error)) throw error
    return [[error.message, error.reason].filter(Boolean).join(': ')]
  }
}

/** Whether its key is known, by itself or by an authority, or taken unasked. */
async function isKnown(destination: Destination, context: Context): Promise<boolean> {
  const policy = policyFor(destination, { dryRun: true }, context)
  if (policy.strict === 'accept-new' || policy.strict === 'no') return true
  const { host, port } = knownAs(policy, destination.host, destination.port)
  const { knownHosts } = policy
  return (await knownHosts.typesFor(host, port)).length > 0 || knownHosts.authoritiesFor(host, port)
}

/** What an agent knows of the keys that may be used. */
interface Holding {
  readonly keys: readonly PublicKey[]
  /** Those that are gone when it ends. */
  readonly passing: readonly PublicKey[]
  readonly rules: readonly KeyRule[]
}

async function foreseeLogin(destination: Destination, facts: LoginFacts, context: Context): Promise<string[]> {
  const { session, settings } = destination
  const { identitiesOnly = false, identityFiles, identityAgent } = settings
  const chosen = session?.key
  const { name, say } = context
  const agent = identityAgent === 'none' ? undefined : await openAgentAtLogin(identityAgent?.path, context)
  const holding = await lookAt(agent, context).finally(() => agent?.close())
  const paths = chosen === undefined ? (identityFiles ?? (await defaultKeyFiles(context))) : [chosen]
  let locked: string | undefined
  for (const path of paths) {
    const verdict = await judge(path, holding)
    if (verdict === 'open') return []
    if (verdict === 'held') return foreseeAgent(identityAgent !== undefined, facts, context)
    if (verdict === 'passing') {
      return [`the agent forgets ${say.path(path)} when it ends; first: ${name} add --at-login ${say.word(path)}`]
    }
    if (verdict === 'locked') locked ??= path
  }
  if (chosen === undefined && !identitiesOnly && holding.keys.length > 0) {
    return foreseeAgent(identityAgent !== undefined, facts, context)
  }
  if (locked !== undefined) {
    const [shown, word] = [say.path(locked), say.word(locked)]
    return [`nobody is there at login to type the passphrase for ${shown}; first: ${name} add --at-login ${word}`]
  }
  const where = showForeign(showDestination(destination))
  return [`nobody is there at login to type the password for ${where}; first: ${name} ${install(destination)}`]
}

function install({ session, user, host, port }: Destination): string {
  if (session) return `install-pubkey ${session.name}`
  return `install-pubkey ${port === 22 ? '' : `-p ${port} `}${showForeign(`${user}@${host}`)}`
}

/** Keys that only our own agent has are there when it is. */
async function foreseeAgent(isOther: boolean, facts: LoginFacts, { name }: Context): Promise<string[]> {
  if (isOther || (await findLoginService(facts)).kind !== 'none') return []
  return [`nothing starts the agent at login, which has the key; first: ${name} agent install`]
}

/** The agent that the tunnel will ask: ours at its fixed place, whatever this shell has, unless ssh_config names another. */
function openAgentAtLogin(path: string | undefined, context: Context): Promise<AgentClient | undefined> {
  const env = { ...context.env, SSH_AUTH_SOCK: path ?? context.places.agentSocket }
  return openAgentIfThere(Object.create(context, { env: { value: env, enumerable: true } }) as Context)
}

async function lookAt(agent: AgentClient | undefined, context: Context): Promise<Holding> {
  const rules = await readRules(context)
  if (!agent) return { keys: [], passing: [], rules }
  const reportOf = await readReports(agent)
  const keys: PublicKey[] = []
  const passing: PublicKey[] = []
  for (const identity of await agent.list()) {
    const key = publicKeyOf(identity)?.plain
    if (!key) continue
    keys.push(key)
    // Only our own agent says it. What the agent behind it holds is that one's affair.
    const report = reportOf(identity)
    if (report && report.origin !== 'upstream') passing.push(key)
  }
  return { keys, passing, rules }
}

/**
 * How a key can be used at login: `open` by anybody who reads its file, `held` by the agent then, `passing` by the agent now,
 * `locked` by a passphrase; undefined: not at all.
 */
async function judge(
  path: string,
  { keys, passing, rules }: Holding,
): Promise<'open' | 'held' | 'passing' | 'locked' | undefined> {
  const file = path.replace(/\.pub$/, '')
  const isEncrypted = await readPlain(file)
    .then(async bytes => (await detectPrivate(bytes).inspect(bytes)).encrypted)
    .catch(() => undefined)
  const key = (await publicHalf(path).catch(() => undefined))?.plain
  const about = key && { fingerprint: fingerprint(key), file: resolve(file) }
  if (isEncrypted === false) return 'open'
  if (about && rules.some(rule => rule.atLogin && isAbout(rule, about))) return 'held'
  if (key && passing.some(each => each.equals(key))) return 'passing'
  if (key && keys.some(each => each.equals(key))) return 'held'
  return isEncrypted === undefined ? undefined : 'locked'
}
