import { type AgentClient, fingerprintOf } from '@keytool/agent'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { withAgent } from '../agent-link.js'
import { askSecret, hasTerminal, readSecretFile, triesLeft } from '../ask.js'
import type { Context, Run } from '../context.js'
import { forEach } from '../each.js'
import { findHeld } from '../held-keys.js'
import { parse } from '../options.js'

const usage = {
  command: 'unlock',
  takes: '[key...]',
  summary:
    'Unlock the agent with the passphrase it was locked with; or open sealed keys with theirs, here, for whoever waits\n' +
    'for them.',
  examples: ['unlock', 'unlock ~/.ssh/id_work'],
  options: [['--passphrase-file <file>', 'the first line of FILE is the passphrase (-: standard input)']],
} as const

interface UnlockFlags {
  readonly passphraseFile?: string
}

/** How often a key's passphrase may be tried at a prompt. */
const TRIES = 3

export const run: Run = async (args, context) => {
  const parsed = parse<UnlockFlags>(usage, args, context)
  if (!parsed) return 0
  const { words, options } = parsed
  return withAgent(context, async agent => {
    if (words.length === 0) {
      await agent.unlock(await passphraseFor('the agent was locked with', options, context))
      context.say.done('the agent is unlocked')
      context.say.facts({ locked: false })
      return 0
    }
    const facts: object[] = []
    const status = await forEach(words, context, async word => {
      const identity = await findHeld(word, agent)
      await openSealed(word, identity.blob, agent, options, context)
      context.say.done(`opened ${fingerprintOf(identity)}`)
      facts.push({ fingerprint: fingerprintOf(identity) })
    })
    context.say.facts(facts)
    return status
  })
}

async function openSealed(
  word: string,
  blob: Buffer,
  agent: AgentClient,
  options: UnlockFlags,
  context: Context,
): Promise<void> {
  const tries = options.passphraseFile === undefined && hasTerminal(context) ? TRIES : 1
  for (let left = tries - 1; ; left--) {
    try {
      return await agent.unseal(blob, await passphraseFor(`for ${context.say.path(word)}`, options, context))
    } catch (error) {
      if (!isKeytoolError(error) || error.code !== 'secret-wrong') throw error
      if (left === 0) throw new KeytoolError('secret-wrong', `wrong passphrase for ${word}`, { cause: error })
      context.say.prompt(`wrong passphrase, ${triesLeft(left)}`)
    }
  }
}

function passphraseFor(whose: string, { passphraseFile: file }: UnlockFlags, context: Context): Promise<Buffer> {
  if (file !== undefined) return readSecretFile(file, 'passphrase', context)
  return askSecret(`passphrase ${whose}`, 'pass it with --passphrase-file FILE, or - for standard input', context)
}
