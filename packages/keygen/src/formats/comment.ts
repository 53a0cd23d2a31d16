import { KeytoolError } from '../error.js'

/**
 * A comment's bytes as text. Comments are UTF-8 today, but files of the 2000s hold Latin-1 as well, and no key should be
 * refused for its label.
 */
export function decodeComment(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return Buffer.from(bytes).toString('latin1')
  }
}

/** Every format here keeps a comment on one line. Throws `usage` for one that would break it. */
export function checkComment(comment: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(comment)) {
    throw new KeytoolError('usage', 'a comment is one line, without control characters')
  }
  return comment
}
