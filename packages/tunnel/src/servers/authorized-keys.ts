import {
  type AuthorizedKeyLine,
  isKeytoolError,
  KeytoolError,
  type PublicKey,
  readAuthorizedKeys,
  splitKeyOptions,
  writePublicLine,
} from '@keytool/keygen'

/**
 * All lines that let this very key in, as sshd reads them. A certificate authority's line does not: it lets others in.
 * @throws KeytoolError `damaged` for a file that is no text: UTF-16, or with NUL bytes
 */
export function findLines(bytes: Buffer, key: PublicKey): AuthorizedKeyLine[] {
  return readLines(bytes).filter(
    ({ heeded, blob, options }) => heeded && blob?.equals(key.blob) && !namesAuthority(options),
  )
}

/** The one line for this key, without a newline. Controls in the comment would make it two lines: they become blanks. */
export function formatAuthorizedKey(key: PublicKey, options = ''): string {
  const comment = key.comment.replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').trim()
  const line = writePublicLine(key.withComment(comment)).trimEnd()
  return options === '' ? line : `${options} ${line}`
}

function readLines(bytes: Buffer): AuthorizedKeyLine[] {
  try {
    return readAuthorizedKeys(bytes)
  } catch (cause) {
    if (!isKeytoolError(cause)) throw cause
    throw new KeytoolError('damaged', `authorized_keys on the server can't be read: ${cause.message}`, {
      reason: 'it is left as it is',
      hint: 'it has to be text, in UTF-8 without a byte order mark: save it so on the server, then try again',
      cause,
    })
  }
}

function namesAuthority(options: string): boolean {
  return splitKeyOptions(options)?.some(({ name }) => name === 'cert-authority') ?? false
}
