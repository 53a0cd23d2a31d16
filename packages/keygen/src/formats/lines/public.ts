import { damagedAt } from '../../error.js'
import type { PublicKey } from '../../key.js'
import { checkComment } from '../comment.js'
import type { PublicFormat } from '../format.js'
import { decodeKey, findKey } from './key.js'
import { isIdle, skipBlanks, splitLines } from './text.js'

/** As far as a key is looked for. In bytes. */
const HEAD = 64 * 1024
/** A type's name, then a blob in base64. */
const LOOKS = /^(?:\xef\xbb\xbf)?[ \t]*(?:ssh|ecdsa|sk)-[a-z0-9@.-]+[ \t]+AAAA/m

/** OpenSSH's one line a key, as in `.pub` files. */
export const opensshPublic: PublicFormat & Required<Pick<PublicFormat, 'write'>> = {
  name: 'openssh',
  title: 'OpenSSH',
  keepsComment: true,
  detect: looksLikePublicLines,
  read: async bytes => readPublicLines(bytes),
  write: key => Buffer.from(writePublicLine(key)),
}

/**
 * OpenSSH's one-line public key: type, base64 blob, comment (sshd(8), AUTHORIZED_KEYS FILE FORMAT, without options).
 */
export function writePublicLine(key: PublicKey): string {
  const comment = checkComment(key.comment)
  return `${key.algorithm.name} ${key.blob.toString('base64')}${comment ? ` ${comment}` : ''}\n`
}

/** Whether the bytes begin like lines of public keys: a type's name, then base64. */
export function looksLikePublicLines(bytes: Buffer): boolean {
  return LOOKS.test(bytes.toString('latin1', 0, HEAD))
}

/**
 * The keys in a file of public lines. Blank lines and comments are passed over.
 * @throws KeytoolError `damaged` with the offset, `unsupported` for a type not in the table
 */
export function readPublicLines(bytes: Buffer): PublicKey[] {
  const keys: PublicKey[] = []
  for (const line of splitLines(bytes)) {
    if (isIdle(line)) continue
    const found = findKey(line, skipBlanks(line.text, 0))
    if (!found) {
      throw damagedAt('a line is not a public key', line.offset)
    }
    keys.push(decodeKey(found))
  }
  return keys
}
