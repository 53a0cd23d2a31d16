import { isKeytoolError, KeytoolError } from '../../error.js'
import { nonsense } from '../../protect/pbe-cbc.js'
import type { PemBlock } from './armor.js'
import { labelsOf, readPem } from './armor.js'

/** Of every tool: `ENCRYPTED PRIVATE KEY`, `RSA PRIVATE KEY`, `OPENSSH PRIVATE KEY`. */
const PRIVATE = /(?:^| )PRIVATE KEY$/

/**
 * The one private key of a file, opened for one use; the decoded copy is wiped after it. Rejects with `unsupported` when
 * there are several, be they of other formats: tools differ in which of them they take.
 */
export async function withPemKey<T>(
  bytes: Buffer,
  labels: readonly string[],
  use: (block: PemBlock) => T | Promise<T>,
): Promise<T> {
  const blocks = readPem(bytes, labels)
  try {
    const [block] = blocks
    if (!block || countPrivate(bytes) > 1) {
      throw new KeytoolError('unsupported', 'the file holds several private keys', {
        reason: 'nobody could tell which one is meant',
        hint: 'put each in a file of its own',
      })
    }
    return await use(block)
  } finally {
    for (const { body } of blocks) body.fill(0)
  }
}

function countPrivate(bytes: Buffer): number {
  let count = 0
  for (const { label } of labelsOf(bytes)) if (PRIVATE.test(label)) count++
  return count
}

/**
 * The first look at what was decrypted without a MAC. What does not even begin like a key is nonsense, which a wrong
 * passphrase gives, too; after this look, damage is damage.
 */
export function lookAtDecrypted(look: () => void): void {
  try {
    look()
  } catch (cause) {
    throw isKeytoolError(cause) && cause.code === 'damaged' ? nonsense(cause) : cause
  }
}
