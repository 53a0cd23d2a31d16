import { withAgent } from '../agent-link.js'
import { askSecret, readSecretFile } from '../ask.js'
import type { Run } from '../context.js'
import { parse } from '../options.js'

const usage = {
  command: 'unlock',
  summary: 'Unlock the agent with the passphrase it was locked with.',
  examples: ['unlock'],
  options: [['--passphrase-file <file>', 'the first line of FILE is the passphrase (-: standard input)']],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse<{ passphraseFile?: string }>(usage, args, context)
  if (!parsed) return 0
  return withAgent(context, async agent => {
    const file = parsed.options.passphraseFile
    const hint = 'pass it with --passphrase-file FILE, or - for standard input'
    const passphrase =
      file === undefined
        ? await askSecret('passphrase the agent was locked with', hint, context)
        : await readSecretFile(file, 'passphrase', context)
    await agent.unlock(passphrase)
    context.say.done('the agent is unlocked')
    context.say.facts({ locked: false })
    return 0
  })
}
