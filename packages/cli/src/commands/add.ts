import { fingerprintLine, KeytoolError, showForeign } from '@keytool/keygen'
import { isOurs, openAgent } from '../agent-link.js'
import type { Context, Run } from '../context.js'
import { forEach } from '../each.js'
import { openKey, type Unlocking, withCommentBeside } from '../files.js'
import { keyFacts } from '../key-facts.js'
import { parse } from '../options.js'
import { defaultKeyFiles } from '../signers.js'
import { warnOf } from '../warn.js'

const usage = {
  command: 'add',
  takes: '[file...]',
  summary: 'Load private keys into the agent. Without a file: those of ~/.ssh with a default name.',
  examples: ['add', 'add ~/.ssh/id_work old.ppk'],
  options: [
    ['--passphrase-file <file>', "the first line of FILE is the keys' passphrase (-: standard input)"],
    ['--any-cost', 'open them however much their KDF asks for'],
  ],
} as const

export const run: Run = async (args, context) => {
  const parsed = parse<Unlocking>(usage, args, context)
  if (!parsed) return 0
  const { say } = context
  // No agent, no question: nobody types a passphrase in vain.
  const agent = await openAgent(context)
  try {
    const paths = parsed.words.length > 0 ? parsed.words : await defaultKeys(context)
    const facts: object[] = []
    const status = await forEach(paths, context, async path => {
      const { key, passphrase } = await openKey(path, parsed.options, context)
      passphrase?.fill(0)
      const shown = await withCommentBeside(path, key.publicKey)
      await agent.add(key.withComment(key.comment || shown.comment || path))
      say.done(showForeign(fingerprintLine(shown)))
      await warnOf(path, shown, context)
      facts.push({ path, agent: agent.path, ...keyFacts(shown) })
    })
    if (facts.length > 0 && !(await isOurs(agent))) say.note(`the agent is the one at ${say.path(agent.path)}`)
    say.facts(facts)
    return status
  } finally {
    agent.close()
  }
}

async function defaultKeys(context: Context): Promise<string[]> {
  const found = await defaultKeyFiles(context)
  if (found.length > 0) return found
  throw new KeytoolError('not-found', `${context.say.path(context.places.ssh)} holds no key with a default name`, {
    hint: `${context.name} gen makes one`,
  })
}
