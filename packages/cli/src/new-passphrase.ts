import { KeytoolError } from '@keytool/keygen'
import { askSecret, hasTerminal, readSecretFile } from './ask.js'
import type { Context } from './context.js'

/** How often two entries may differ. */
const TRIES = 3

export interface NewPassphrase {
  /** What it is for, as a question shows it. */
  readonly what: string
  /** The option it can be given with. */
  readonly flag: string
  /** File whose first line it is; `-` is standard input. */
  readonly file: string | undefined
  /** The user said that there shall be none. Absent where there has to be one. */
  readonly none?: boolean
}

/**
 * A passphrase that is to be set: from a file, or asked twice. `undefined` where the user wants none.
 * @throws KeytoolError `secret-needed` for an empty one: nobody gets an open key by pressing Enter
 */
export async function newPassphrase(wanted: NewPassphrase, context: Context): Promise<Buffer | undefined> {
  const { what, flag, file, none } = wanted
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
    const first = await askSecret(`passphrase for ${what}`, hint, context)
    if (first.length === 0) {
      if (left === 1 || !hasTerminal(context)) throw empty(wanted)
      context.say.prompt(
        `an empty passphrase protects nothing; ${none === undefined ? 'once more' : 'Ctrl-C, then --no-passphrase, if that is meant'}`,
      )
      continue
    }
    const second = await askSecret('the same once more', hint, context)
    if (first.equals(second)) return first
    context.say.prompt('the two differ; once more from the start')
  }
  throw new KeytoolError('secret-wrong', 'the two passphrases differed three times', { reason: 'nothing was written' })
}

function empty({ none }: NewPassphrase): KeytoolError {
  return new KeytoolError('secret-needed', 'an empty passphrase protects nothing', {
    reason: 'nothing was changed',
    ...(none !== undefined && { hint: 'for a key without a passphrase, say --no-passphrase' }),
  })
}
