import { connectAgent, findServer } from '@keytool/agent'
import { detectPrivate, isKeytoolError } from '@keytool/keygen'
import type { Context } from '../../../context.js'
import { withFile } from '../../../files.js'
import { isLocked } from '../../../held-keys.js'
import { openKeychain } from '../../../keychain.js'
import { defaultKeyFiles } from '../../../signers.js'
import { count } from '../../../text.js'
import { describeLogin, keychainWords, lookAround } from '../../agent/around.js'
import { type AgentPlace, isAsleep, lookFor, placeOf } from '../../agent/options.js'
import { findOther, nameOther } from '../../agent/other.js'
import { loadable } from '../keys.js'
import type { Check, Found } from './check.js'

/** In milliseconds. */
const PATIENCE = 3_000

type OurState =
  | { readonly state: 'asleep' | 'gone' }
  | { readonly state: 'silent'; readonly pid: number }
  | { readonly state: 'runs'; readonly keys: number; readonly locked: boolean }

/** Our own agent, which nobody wakes by looking. */
async function lookAtOurs(context: Context): Promise<OurState> {
  const place = placeOf({}, context)
  if (await isAsleep(place, context)) return { state: 'asleep' }
  try {
    if (!(await lookFor(place))) return lookAtProcess(place)
  } catch (error) {
    // Where it could be another user's nothing is believed.
    passOver(error)
    return { state: 'gone' }
  }
  try {
    const agent = await connectAgent(place.socket, { timeout: PATIENCE })
    try {
      return { state: 'runs', keys: (await agent.list()).length, locked: (await isLocked(agent)) === true }
    } finally {
      agent.close()
    }
  } catch (error) {
    passOver(error)
    return lookAtProcess(place)
  }
}

/** One that is there and too busy to answer needs no other one beside it. */
async function lookAtProcess({ socket, pidFile }: AgentPlace): Promise<OurState> {
  const server = await findServer(socket, pidFile)
  return server ? { state: 'silent', pid: server.pid } : { state: 'gone' }
}

/** Who signs: ours, or the one this shell asks. */
export const checkAgent: Check = async context => {
  const ours = await lookAtOurs(context)
  if (ours.state === 'asleep') return { text: 'starts when it is first asked' }
  if (ours.state === 'runs') return judgeKeys(ours, context)
  if (ours.state === 'silent') {
    const advice = `it may be busy: ask it again (kill ${ours.pid} ends it)`
    return { text: `runs (pid ${ours.pid}), and does not answer`, cause: 'agent-silent', advice }
  }
  const other = await findOther(context, context.places.agentSocket)
  if (other?.keys !== undefined) return { text: `${nameOther(other)} (${count(other.keys, 'key')})` }
  const open = await findOpenKey(context)
  if (open !== undefined) return { text: `none answers; ${context.say.path(open)} needs none, having no passphrase` }
  return { text: 'none answers', cause: 'agent-missing', ...(await wish('agent', context)) }
}

/** A key that ssh finds by itself, and that nobody has to open. */
async function findOpenKey(context: Context): Promise<string | undefined> {
  for (const path of await defaultKeyFiles(context)) {
    const facts = await withFile(path, bytes => detectPrivate(bytes).inspect(bytes)).catch(passOver)
    if (facts && !facts.encrypted) return path
  }
  return undefined
}

async function judgeKeys({ keys, locked }: { keys: number; locked: boolean }, context: Context): Promise<Found> {
  if (locked) return { text: 'locked', cause: 'agent-locked' }
  if (keys > 0 || (await defaultKeyFiles(context)).length > 0) return { text: `runs (${count(keys, 'key')})` }
  return { text: 'runs, and holds no key', cause: 'agent-empty', ...(await wish('keys', context)) }
}

/** What to type, by what there is. */
async function wish(lacking: 'agent' | 'keys', context: Context): Promise<Pick<Found, 'key' | 'remedy' | 'advice'>> {
  const { name, say } = context
  const key = await loadable(context)
  const load = key === undefined ? `${name} gen --add` : `${name} add ${say.word(key)}`
  return {
    advice: key === undefined ? 'make a key, and load it' : 'load the key',
    remedy: lacking === 'agent' ? `eval "$(${name} agent)" && ${load}` : load,
  }
}

/** Whether `ssh` here asks an agent that answers. */
export const checkShellAgent: Check = async context => {
  const { env, places, name } = context
  const named = env['SSH_AUTH_SOCK']
  if (named === places.agentSocket) return { text: 'asks our agent' }
  const other = await findOther(context, places.agentSocket)
  if (other?.keys !== undefined) return { text: `asks ${nameOther(other)} (${count(other.keys, 'key')})` }
  const text = named
    ? `asks ${context.say.path(named)}, where nobody answers`
    : 'asks no agent (SSH_AUTH_SOCK is not set)'
  return { text, cause: 'agent-elsewhere', remedy: `eval "$(${name} agent)"` }
}

export const checkKeychain: Check = async context => {
  const state = await openKeychain(context, PATIENCE).state()
  return { text: keychainWords[state], ...(state === 'locked' && { cause: 'keychain-locked' as const }) }
}

/** Only what is there and does not work is a fault: nobody has to want one. */
export const checkAtLogin: Check = async context => {
  const { login } = await lookAround(context)
  const text = describeLogin(login, context)
  return { text, ...(login.kind !== 'none' && !login.fits && { cause: 'agent-at-login' as const }) }
}

function passOver(error: unknown): undefined {
  if (!isKeytoolError(error)) throw error
}
