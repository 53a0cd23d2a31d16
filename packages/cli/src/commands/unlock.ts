import { type AgentClient, fingerprintOf, type Identity } from '@keytool/agent'
import { isKeytoolError, KeytoolError } from '@keytool/keygen'
import { withAgent } from '../agent-link.js'
import { askSecret, hasTerminal, readSecretFile, triesLeft } from '../ask.js'
import type { Context, Run } from '../context.js'
import { forEach } from '../each.js'
import { findOwn, isLocked, nameHeld, readReports, refuseLocked } from '../held-keys.js'
import { parse } from '../options.js'

const usage = {
  command: 'unlock',
  takes: '[key...]',
  summary: [
    'Unlock the agent with the passphrase it was locked with.',
    'With keys, by file or by fingerprint: open these with their own passphrase, asked for here. Programs that wait for them go on.',
  ].join('\n'),
  examples: ['unlock', 'unlock ~/.ssh/id_work'],
  options: [['--passphrase-file <file>', 'the first line of FILE is the passphrase (-: standard input)']],
} as const

interface UnlockFlags {
  readonly passphraseFile?: string
}

/** How often a passphrase may be tried at a prompt. */
const TRIES = 3

export const run: Run = async (args, context) => {
  const parsed = parse<UnlockFlags>(usage, args, context)
  if (!parsed) return 0
  const { words, options } = parsed
  const { say } = context
  return withAgent(context, async agent => {
    if (words.length === 0) {
      await unlockAgent(agent, options, context)
      say.done('the agent is unlocked')
      say.facts({ locked: false })
      return 0
    }
    await refuseLocked(agent)
    const facts: object[] = []
    const status = await forEach(words, context, async word => {
      for (const identity of await openHeld(word, agent, options, context)) {
        facts.push({ fingerprint: fingerprintOf(identity) })
      }
    })
    say.facts(facts)
    return status
  })
}

/** Of another program's agent nobody knows whether it is locked, nor why it refuses. */
async function unlockAgent(agent: AgentClient, options: UnlockFlags, context: Context): Promise<void> {
  const locked = await isLocked(agent)
  // Nobody types in vain; a script without a source learns of that first.
  if (locked === false && hasTerminal(context)) throw notLocked()
  await tryEach('the agent was locked with', options, context, async passphrase => {
    if (locked === false) throw notLocked()
    try {
      await agent.unlock(passphrase)
    } catch (error) {
      if (!locked || !isKeytoolError(error) || error.code !== 'refused') throw error
      throw new KeytoolError('secret-wrong', 'wrong passphrase for the agent', {
        reason: 'it stays locked, and answers later after each wrong one',
        hint: 'type the one it was locked with, or pass it with --passphrase-file',
        cause: error,
      })
    }
  })
}

function notLocked(): KeytoolError {
  return new KeytoolError('refused', 'the agent is not locked', { reason: 'nothing was changed' })
}

/** Opens what a word means, with one passphrase for the key and its certificates. What is open stays so, and nothing is asked. */
async function openHeld(
  word: string,
  agent: AgentClient,
  options: UnlockFlags,
  context: Context,
): Promise<readonly Identity[]> {
  const found = await findOwn(word, agent)
  if (!(await agent.supports('unseal@keytool'))) {
    throw new KeytoolError('refused', "the agent is another program's, which holds no sealed keys")
  }
  const reportOf = await readReports(agent)
  const sealed = found.filter(identity => reportOf(identity)?.state !== 'open')
  if (sealed.length > 0) {
    await tryEach(`for ${context.say.path(word)}`, options, context, async passphrase => {
      try {
        for (const { blob } of sealed) await agent.unseal(blob, Buffer.from(passphrase))
      } catch (error) {
        if (!isKeytoolError(error) || error.code !== 'secret-wrong') throw error
        throw new KeytoolError('secret-wrong', `wrong passphrase for ${word}`, {
          reason: 'the key stays sealed',
          hint: 'try the passphrase it was made with, or pass it with --passphrase-file',
          cause: error,
        })
      }
    })
  }
  for (const identity of found) {
    context.say.done(
      sealed.includes(identity) ? `opened ${nameHeld(identity)}` : `${nameHeld(identity)} is open already`,
    )
  }
  return found
}

/** Wrong passphrases are asked for anew on a terminal. What is used is wiped. */
async function tryEach(
  whose: string,
  options: UnlockFlags,
  context: Context,
  use: (passphrase: Buffer) => Promise<void>,
): Promise<void> {
  const tries = options.passphraseFile === undefined && hasTerminal(context) ? TRIES : 1
  for (let left = tries - 1; ; left--) {
    const passphrase = await passphraseFor(whose, options, context)
    try {
      await use(passphrase)
      return
    } catch (error) {
      if (!isKeytoolError(error) || error.code !== 'secret-wrong' || left === 0) throw error
      context.say.prompt(`wrong passphrase, ${triesLeft(left)}`)
    } finally {
      passphrase.fill(0)
    }
  }
}

function passphraseFor(whose: string, { passphraseFile: file }: UnlockFlags, context: Context): Promise<Buffer> {
  if (file !== undefined) return readSecretFile(file, 'passphrase', context)
  return askSecret(`passphrase ${whose}`, 'pass it with --passphrase-file FILE, or - for standard input', context)
}
