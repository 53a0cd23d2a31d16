import { basename } from 'node:path'
import { KeytoolError } from '@keytool/keygen'
import { askNewSecret, canAskSecret, readSecretFile } from '../ask.js'
import type { Context } from '../context.js'
import { newPassphrase } from '../new-passphrase.js'
import type { SetupKey } from './job.js'
import type { SetupFlags } from './options.js'

/**
 * The passphrase of a key that is to be made: given, made up, or none. Where the keychain keeps it, it is asked for once: a
 * slip of the finger costs a key that nobody uses yet.
 * @throws KeytoolError `secret-needed` where nobody can be asked, with what to say instead
 */
export async function chooseProtection(
  key: SetupKey,
  flags: SetupFlags,
  hasKeychain: boolean,
  context: Context,
): Promise<SetupKey> {
  if (!flags.passphrase) return { ...key, origin: 'none', isEncrypted: false }
  const encrypted = { ...key, isEncrypted: true }
  if (flags.generatePassphrase) {
    if (hasKeychain) return { ...encrypted, origin: 'generated' }
    throw new KeytoolError('refused', 'there is no keychain to keep a passphrase that is made up', {
      reason: 'nothing was done',
      hint: 'pass one with --passphrase-file FILE, or say --no-passphrase',
    })
  }
  const flag = '--passphrase-file'
  if (flags.passphraseFile !== undefined) {
    const passphrase = await readSecretFile(flags.passphraseFile, 'passphrase', context)
    if (passphrase.length > 0) return { ...encrypted, origin: 'given', passphrase }
    throw new KeytoolError('secret-needed', 'an empty passphrase protects nothing', {
      reason: 'nothing was done',
      hint: 'for a key without a passphrase, say --no-passphrase',
    })
  }
  const what = context.say.path(key.path)
  if (!canAskSecret(context)) {
    throw new KeytoolError('secret-needed', `a passphrase for ${what} is needed, which is to be made`, {
      reason: 'there is no terminal to ask on; nothing was done',
      hint: `pass it with ${flag} FILE, or say ${hasKeychain ? '--generate-passphrase or ' : ''}--no-passphrase`,
    })
  }
  const known = [basename(key.path)]
  if (!hasKeychain) {
    const passphrase = await newPassphrase({ what, flag, file: undefined, none: false, guided: true, known }, context)
    return { ...encrypted, origin: 'given', ...(passphrase && { passphrase }) }
  }
  const prompt = `passphrase for ${what}, which is made now (Enter: made up; the keychain keeps it)`
  const typed = await askNewSecret(prompt, `pass it with ${flag} FILE`, context, known)
  if (typed.length === 0) return { ...encrypted, origin: 'generated' }
  return { ...encrypted, origin: 'given', passphrase: typed }
}

/** The same for a plan, which asks nobody. */
export async function foreseeProtection(key: SetupKey, flags: SetupFlags, hasKeychain: boolean): Promise<SetupKey> {
  if (!flags.passphrase) return { ...key, origin: 'none', isEncrypted: false }
  const isGiven = !flags.generatePassphrase && (flags.passphraseFile !== undefined || !hasKeychain)
  return { ...key, origin: isGiven ? 'given' : 'generated', isEncrypted: true }
}

/** A passphrase made up, that nobody has to learn. */
export async function generatePassphraseBytes(): Promise<Buffer> {
  const { generatePassphrase } = await import('../passphrase/words.js')
  return Buffer.from((await generatePassphrase()).text)
}
