import { KeytoolError } from '@keytool/keygen'
import { withAgent } from '../agent-link.js'
import type { Run } from '../context.js'
import { isLocked } from '../held-keys.js'
import { newPassphrase } from '../new-passphrase.js'
import { parse } from '../options.js'

const usage = {
  command: 'lock',
  summary:
    'Lock the agent: it lists and signs nothing until it is unlocked with the same passphrase. Keys that can be sealed are.',
  examples: ['lock'],
  options: [['--passphrase-file <file>', 'the first line of FILE is the passphrase (-: standard input)']],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse<{ passphraseFile?: string }>(usage, args, context)
  if (!parsed) return 0
  return withAgent(context, async agent => {
    const { passphraseFile: file } = parsed.options
    if (await isLocked(agent)) {
      throw new KeytoolError('refused', 'the agent is locked already', { hint: 'keytool unlock' })
    }
    const wanted = { what: 'locking the agent', flag: '--passphrase-file', file }
    const passphrase = await newPassphrase(wanted, context)
    if (passphrase) await agent.lock(passphrase)
    context.say.done('the agent is locked')
    context.say.facts({ locked: true })
    return 0
  })
}
