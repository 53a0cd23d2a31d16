import { KeytoolError } from '@keytool/keygen'
import { askSecret, readSecretFile } from './ask.js'
import type { Context } from './context.js'

/** How often two entries may differ. */
const TRIES = 3

export interface NewPassphrase {
  /** File whose first line it is; `-` is standard input. */
  readonly file: string | undefined
  /** The user said that there shall be none. */
  readonly none: boolean
}

/**
 * The passphrase a key is to get: from a file, or asked twice. `undefined` where the user wants none.
 * @throws KeytoolError `secret-needed` for an empty one: nobody gets an open key by pressing Enter
 */
export async function newPassphrase(
  { file, none }: NewPassphrase,
  what: string,
  flag: string,
  context: Context,
): Promise<Buffer | undefined> {
  if (none) {
    if (file !== undefined) throw new KeytoolError('usage', `--no-passphrase and ${flag} contradict each other`)
    return undefined
  }
  if (file !== undefined) return checked(await readSecretFile(file, 'passphrase', context))
  for (let left = TRIES; left > 0; left--) {
    const hint = `pass it with ${flag} FILE, or say --no-passphrase`
    const first = checked(await askSecret(`passphrase for ${what}`, hint, context))
    const second = await askSecret('the same once more', hint, context)
    if (first.equals(second)) return first
    context.say.note('the two differ; once more from the start')
  }
  throw new KeytoolError('secret-wrong', 'the two passphrases differed three times', { reason: 'nothing was written' })
}

function checked(passphrase: Buffer): Buffer {
  if (passphrase.length > 0) return passphrase
  throw new KeytoolError('secret-needed', 'an empty passphrase protects nothing', {
    reason: 'nothing was written',
    hint: 'for a key without a passphrase, say --no-passphrase',
  })
}
