import { type AgentClient, fingerprintOf, type Identity } from '@keytool/agent'
import { KeytoolError } from '@keytool/keygen'
import { withAgent } from '../agent-link.js'
import type { Run } from '../context.js'
import { forEach } from '../each.js'
import { findOwn, nameHeld, readReports, refuseLocked } from '../held-keys.js'
import { parse } from '../options.js'
import { count } from '../text.js'

const usage = {
  command: 'remove',
  takes: '[key...]',
  summary: [
    'Remove keys from the agent, with their certificates: by file or by fingerprint. The files stay.',
    'So do the rules of agent.json: a key that was added with --at-login comes back when the agent starts.',
  ].join('\n'),
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
    await refuseLocked(agent)
    if (options.all) {
      const { own, behind } = await splitByOrigin(agent)
      await agent.removeAll()
      context.say.done(`removed ${count(own.length, 'key')}`)
      if (behind > 0) {
        context.say.note(`${count(behind, 'key')} of the agent behind this one ${behind === 1 ? 'stays' : 'stay'}`)
      }
      context.say.facts(own.map(identity => ({ fingerprint: fingerprintOf(identity) })))
      return 0
    }
    const facts: object[] = []
    const status = await forEach(words, context, async word => {
      for (const identity of await findOwn(word, agent)) {
        await agent.remove(identity.blob)
        context.say.done(`removed ${nameHeld(identity)}`)
        facts.push({ fingerprint: fingerprintOf(identity) })
      }
    })
    context.say.facts(facts)
    return status
  })
}

/** The keys that the agent holds itself, and how many it has from another one. Only our own agent tells them apart. */
async function splitByOrigin(agent: AgentClient): Promise<{ own: readonly Identity[]; behind: number }> {
  const all = await agent.list()
  const reportOf = await readReports(agent)
  const own = all.filter(identity => reportOf(identity)?.origin !== 'upstream')
  return { own, behind: all.length - own.length }
}
