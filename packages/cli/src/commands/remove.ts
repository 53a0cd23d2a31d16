import { type AgentClient, type Identity, publicKeyOf } from '@keytool/agent'
import { type FingerprintHash, fingerprint, KeytoolError } from '@keytool/keygen'
import { withAgent } from '../agent-link.js'
import type { Run } from '../context.js'
import { forEach } from '../each.js'
import { publicHalf } from '../files.js'
import { parse } from '../options.js'
import { count } from '../text.js'

const usage = {
  command: 'remove',
  takes: '[key...]',
  summary: 'Remove keys from the agent: by file or by fingerprint. The files stay.',
  examples: ['remove ~/.ssh/id_work', 'remove SHA256:9mFz…Q1k', 'remove --all'],
  options: [['--all', 'every key']],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse<{ all?: boolean }>(usage, args, context)
  if (!parsed) return 0
  const { words, options } = parsed
  if (words.length > 0 === (options.all === true)) {
    throw new KeytoolError('usage', 'name the keys to remove, or say --all')
  }
  return withAgent(context, async agent => {
    if (options.all) {
      const before = await agent.list()
      await agent.removeAll()
      context.say.done(`removed ${count(before.length, 'key')}`)
      context.say.facts(before.map(identity => ({ fingerprint: fingerprintOf(identity) })))
      return 0
    }
    const facts: object[] = []
    const status = await forEach(words, context, async word => {
      const identity = await find(word, agent)
      await agent.remove(identity.blob)
      context.say.done(`removed ${fingerprintOf(identity)}`)
      facts.push({ fingerprint: fingerprintOf(identity) })
    })
    context.say.facts(facts)
    return status
  })
}

/** The key that a fingerprint or a file means; one that the agent does not hold is `not-found`. */
async function find(word: string, agent: AgentClient): Promise<Identity> {
  const isWanted = await matcher(word)
  const found = (await agent.list()).find(isWanted)
  if (found) return found
  throw new KeytoolError('not-found', `the agent does not hold ${word}`)
}

async function matcher(word: string): Promise<(identity: Identity) => boolean> {
  const hash = word.startsWith('SHA256:') ? 'sha256' : word.startsWith('MD5:') ? 'md5' : undefined
  if (hash) return identity => fingerprintOf(identity, hash) === word
  const { blob } = await publicHalf(word)
  return identity => identity.blob.equals(blob)
}

/** A certificate has its key's fingerprint, as everywhere. */
function fingerprintOf(identity: Identity, hash?: FingerprintHash): string {
  return fingerprint(publicKeyOf(identity) ?? identity, hash)
}
