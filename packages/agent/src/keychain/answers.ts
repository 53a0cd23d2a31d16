import { KeytoolError } from '@keytool/keygen'

/** Nothing can be kept or found here, now. */
export function noKeychain(reason: string, cause?: unknown): KeytoolError {
  return new KeytoolError('unreachable', 'there is no keychain here', {
    reason,
    hint: 'keytool unlock opens the key for whoever waits for it',
    cause,
  })
}

export function isLocked(): KeytoolError {
  return new KeytoolError('refused', 'the keychain is locked', {
    hint: 'unlock it, as logging in to the desktop does, or use: keytool unlock',
  })
}

/** It is there, and something else is wrong. */
export function isSilent(reason: string, cause?: unknown): KeytoolError {
  return new KeytoolError('unreachable', 'the keychain does not answer', {
    reason,
    hint: 'keytool unlock opens the key for whoever waits for it',
    cause,
  })
}

/** The file has got another passphrase since. */
export function isStale(): KeytoolError {
  return new KeytoolError('secret-wrong', 'the stored passphrase no longer fits', {
    reason: "the file's passphrase was changed",
    hint: 'keytool unlock opens the key, and the keychain gets what fits',
  })
}
