import { withAgent } from '../agent-link.js'
import type { Run } from '../context.js'
import { newPassphrase } from '../new-passphrase.js'
import { parse } from '../options.js'

const usage = {
  command: 'lock',
  summary: 'Lock the agent: it lists and signs nothing until it is unlocked with the same passphrase.',
  examples: ['lock'],
  options: [['--passphrase-file <file>', 'the first line of FILE is the passphrase (-: standard input)']],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse<{ passphraseFile?: string }>(usage, args, context)
  if (!parsed) return 0
  return withAgent(context, async agent => {
    const wanted = { file: parsed.options.passphraseFile, none: false }
    const passphrase = await newPassphrase(wanted, 'locking the agent', '--passphrase-file', context)
    if (passphrase) await agent.lock(passphrase)
    context.say.done('the agent is locked')
    return 0
  })
}
