import { KeytoolError } from '@keytool/keygen'
import type { AskPassword } from '@keytool/tunnel'
import { askSecret, readSecretFile, triesLeft } from './ask.js'
import type { Context } from './context.js'

/** All that looks like the quotes that a server's words stand in: they can't be closed from inside. */
const QUOTES = /[\p{Pi}\p{Pf}"″＂〃„‟]/gu

/**
 * Gives the account's password: from a file, through SSH_ASKPASS, on the terminal.
 * @param why says why it comes to a password, before the first question
 */
export function passwordSource(file: string | undefined, context: Context, why?: () => string): AskPassword {
  let given = false
  /** The attempt whose first question was prefaced: a server may ask several in one. */
  let prefaced = 0
  return async ({ user, host, text, kind, echo, attempt, left }) => {
    if (file !== undefined) {
      // Once: the same wrong password again would only count against the account, and what else is asked is no password.
      if (given) {
        const from = file === '-' ? 'from standard input' : `in ${file}`
        throw new KeytoolError('secret-wrong', `${host} is not content with the password ${from} for ${user}`)
      }
      given = true
      const password = await readSecretFile(file, 'password', context)
      if (password.length > 0) return password
      // Sent, it would only count against the account.
      const where = file === '-' ? 'standard input' : file
      throw new KeytoolError('secret-needed', `${where} holds no password`, {
        hint: 'its first line has to be the password',
      })
    }
    if (attempt !== prefaced) {
      if (attempt > 1) context.say.prompt(`that was refused; ${triesLeft(left)}`)
      else if (why) context.say.note(why())
      prefaced = attempt
    }
    const isPassword = kind === 'password' || /^password:?$/i.test(text)
    // What the server asks stands behind our own words and in quotes, so that it can't pass for a question of ours.
    const prompt = isPassword ? `password for ${user}@${host}` : `${user}@${host} asks "${text.replace(QUOTES, "'")}"`
    return askSecret(prompt, 'pass it with --password-file FILE, or - for standard input', context, echo)
  }
}
