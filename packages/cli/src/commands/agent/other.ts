import { connectAgent, type KnownAgent, knownAgentAt } from '@keytool/agent'
import { isKeytoolError } from '@keytool/keygen'
import type { Context } from '../../context.js'

/** Another agent than ours, which this shell asks so far. */
export interface OtherAgent {
  readonly socket: string
  readonly known: KnownAgent | undefined
  /** How many keys it shows; undefined where it does not answer. */
  readonly keys: number | undefined
}

/** An agent that is well answers at once: none of its users is asked for a list. In milliseconds. */
const PATIENCE = 1_000

/**
 * The agent that SSH_AUTH_SOCK names, where that is not the one at `socket`. It is asked what it holds, and nothing else.
 */
export async function findOther({ env }: Context, socket: string): Promise<OtherAgent | undefined> {
  const other = env['SSH_AUTH_SOCK']
  if (!other || other === socket) return undefined
  const known = knownAgentAt(other, env['SSH_CONNECTION'] !== undefined)
  return { socket: other, known, keys: await countKeys(other) }
}

/** How it is called in a sentence, its place left out. */
export function nameOther({ known }: OtherAgent): string {
  if (!known) return 'another agent'
  return known.isForwarded ? 'a forwarded agent' : known.name
}

/**
 * How ours serves its keys, too; undefined where nobody answers, and for one that is lent for a session only.
 * @param start the words that start ours
 */
export function upstreamWords(other: OtherAgent, start: string, { say }: Context): string | undefined {
  if (other.keys === undefined || other.known?.isForwarded) return undefined
  return `${start} --upstream ${say.word(other.socket)}`
}

async function countKeys(socket: string): Promise<number | undefined> {
  try {
    const agent = await connectAgent(socket, { timeout: PATIENCE })
    try {
      return (await agent.list()).length
    } finally {
      agent.close()
    }
  } catch (error) {
    if (isKeytoolError(error)) return undefined
    throw error
  }
}
