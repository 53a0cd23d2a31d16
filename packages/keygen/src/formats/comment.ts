import { KeytoolError } from '../error.js'

/**
 * A comment's bytes as text. Comments are UTF-8 today, but files of the 2000s hold what Windows wrote then, and no key should
 * be refused for its label.
 */
export function decodeComment(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    // Five bytes are nothing in that charset, and come out as controls.
    return new TextDecoder('windows-1252').decode(bytes).replace(/[\u0080-\u009f]/g, '\ufffd')
  }
}

/** Control characters, save the tab; line ends of all kinds; marks that turn the order of text round. */
const UNFIT = /[\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]|(?!\t)\p{Cc}/u

/** Every format here keeps a comment on one line. Throws `usage` for one that would break it or a terminal. */
export function checkComment(comment: string): string {
  if (UNFIT.test(comment)) throw new KeytoolError('usage', 'a comment is one line, without control characters')
  return comment
}
