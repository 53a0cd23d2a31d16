import { fingerprintOf } from '@keytool/agent'
import { KeytoolError } from '@keytool/keygen'
import { withAgent } from '../agent-link.js'
import type { Run } from '../context.js'
import { forEach } from '../each.js'
import { findOwn, nameHeld, refuseLocked } from '../held-keys.js'
import { parse } from '../options.js'
import { count } from '../text.js'

const usage = {
  command: 'reencrypt',
  takes: '[key...]',
  summary:
    'Seal keys again: the agent forgets their open half, and asks for the passphrase when they are next used.\n' +
    'A key that was added without its encrypted file (by ssh-add, or without a passphrase) stays open.',
  examples: ['reencrypt ~/.ssh/id_work', 'reencrypt --all'],
  options: [['--all', 'every key']],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse<{ all?: boolean }>(usage, args, context)
  if (!parsed) return 0
  const { words, options } = parsed
  if (words.length > 0 === (options.all === true)) {
    throw new KeytoolError('usage', 'name the keys to seal, or say --all')
  }
  const { say } = context
  return withAgent(context, async agent => {
    await refuseLocked(agent)
    if (options.all) {
      const left = await agent.reencryptAll()
      say.done('every key with an encrypted file is sealed')
      if (left > 0) say.note(`${count(left, 'key')} without one ${left === 1 ? 'stays' : 'stay'} open`)
      say.facts({ open: left })
      return 0
    }
    const facts: object[] = []
    const status = await forEach(words, context, async word => {
      for (const identity of await findOwn(word, agent)) {
        await agent.reencrypt(identity.blob)
        say.done(`sealed ${nameHeld(identity)}`)
        facts.push({ fingerprint: fingerprintOf(identity) })
      }
    })
    say.facts(facts)
    return status
  })
}
