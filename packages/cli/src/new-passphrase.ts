import { KeytoolError } from '@keytool/keygen'
import { askNewSecret, askYes, hasTerminal, readSecretFile, triesLeft } from './ask.js'
import type { Context } from './context.js'

/** How often two entries may differ. */
const TRIES = 3

export interface NewPassphrase {
  /** What it is for, as a question shows it. */
  readonly what: string
  /** What is asked for, where another secret is asked for beside it: `new passphrase`. */
  readonly noun?: string
  /** What to type for none at all. Default: `--no-passphrase`. */
  readonly without?: string
  /** The option it can be given with. */
  readonly flag: string
  /** File whose first line it is; `-` is standard input. */
  readonly file: string | undefined
  /** The user said that there shall be none. Absent where there has to be one. */
  readonly none?: boolean
  /** Whether Enter alone brings the offer of a passphrase made up: for those who are led through all questions. */
  readonly guided?: boolean
  /** Words that a guesser would try first: the name of the file, of the user. */
  readonly known?: readonly string[]
}

/**
 * A passphrase that is to be set: from a file, or asked twice. `undefined` where the user wants none.
 * @throws KeytoolError `secret-needed` for an empty one: nobody gets an open key by pressing Enter
 */
export async function newPassphrase(wanted: NewPassphrase, context: Context): Promise<Buffer | undefined> {
  const { flag, file, none } = wanted
  if (none) {
    if (file !== undefined) throw new KeytoolError('usage', `--no-passphrase and ${flag} contradict each other`)
    return undefined
  }
  if (file !== undefined) {
    const passphrase = await readSecretFile(file, 'passphrase', context)
    if (passphrase.length === 0) throw empty(wanted)
    return passphrase
  }
  const hint = `pass it with ${flag} FILE${none === undefined ? '' : ', or say --no-passphrase'}`
  for (let left = TRIES; left > 0; left--) {
    const first = await askNewSecret(questionFor(wanted), hint, context, wanted.known ?? [])
    if (first.length === 0) {
      const offered = wanted.guided && hasTerminal(context) ? await offer(context) : 'declined'
      if (Buffer.isBuffer(offered)) return offered
      if (offered === 'mistyped') continue
      if (left === 1 || !hasTerminal(context)) throw empty(wanted)
      context.say.prompt(
        `an empty passphrase protects nothing; ${none === undefined ? 'once more' : 'Ctrl-C, then --no-passphrase, if that is meant'}`,
      )
      continue
    }
    await warnOfWeak(first, wanted.known ?? [], context)
    const second = await askNewSecret('the same once more', hint, context, 'unrated')
    if (first.equals(second)) {
      second.fill(0)
      return first
    }
    context.say.prompt('the two differ; once more from the start')
  }
  throw new KeytoolError('secret-wrong', 'the two passphrases differed three times', { reason: 'nothing was written' })
}

/** After Enter, since a passphrase that was pasted had no time for a word beside it. It is the user's to decide. */
async function warnOfWeak(passphrase: Buffer, known: readonly string[], context: Context): Promise<void> {
  if (!hasTerminal(context)) return
  const { rateStrength } = await import('./passphrase/strength.js')
  const strength = await rateStrength(passphrase.toString('utf8'), known)
  if (!strength || strength.score > 1) return
  const advice = strength.advice === undefined ? '' : `: ${strength.advice}`
  context.say.prompt(`${strength.label}, guessed within ${strength.crackTime}${advice}`)
}

function questionFor({ what, guided, noun = 'passphrase' }: NewPassphrase): string {
  return `${noun} for ${what}${guided ? ' (Enter: make one up)' : ''}`
}

/** A passphrase made up, if it is wanted: shown once, and typed back. */
async function offer(context: Context): Promise<Buffer | 'declined' | 'mistyped'> {
  if (!(await askYes('Make one up for you?', context, true))) return 'declined'
  const { generatePassphrase } = await import('./passphrase/words.js')
  const { text, bits } = await generatePassphrase()
  context.say.prompt(`\n    ${text}\n\n${bits} bits; it is kept nowhere: write it down, or learn it, before you go on`)
  const hint = 'nothing was written'
  for (let left = TRIES; left > 0; left--) {
    const typed = await askNewSecret('type it to show that you have it', hint, context, 'unrated')
    if (typed.toString('utf8') === text) return typed
    context.say.prompt(`that is not it${left > 1 ? `, ${triesLeft(left - 1)}` : '; once more from the start'}`)
  }
  return 'mistyped'
}

function empty({ none, without }: NewPassphrase): KeytoolError {
  return new KeytoolError('secret-needed', 'an empty passphrase protects nothing', {
    reason: 'nothing was changed',
    ...((none !== undefined || without !== undefined) && {
      hint: `for a key without a passphrase, say ${without ?? '--no-passphrase'}`,
    }),
  })
}
