import type { Algorithm, Parts } from '../../algorithms/algorithm.js'
import { isKeytoolError, KeytoolError } from '../../error.js'
import { PrivateKey } from '../../key.js'
import { nonsense } from '../../protect/pbe-cbc.js'
import type { PemBlock } from './armor.js'
import { readPem } from './armor.js'

/** The one private key of a file, opened for one use; the decoded copy is wiped after it. */
export async function withPemKey<T>(
  bytes: Buffer,
  labels: readonly string[],
  use: (block: PemBlock) => T | Promise<T>,
): Promise<T> {
  const blocks = readPem(bytes, labels)
  try {
    const [block, another] = blocks
    if (!block || another) {
      throw new KeytoolError('unsupported', `the file holds ${blocks.length} private keys; one is taken`, {
        hint: 'put each in a file of its own',
      })
    }
    return await use(block)
  } finally {
    for (const { body } of blocks) body.fill(0)
  }
}

/**
 * A key from parts that are views of bytes which will be wiped: it gets copies of its own.
 * Rejects with `damaged` when they do not belong together.
 */
export async function keyFromViews(algorithm: Algorithm, views: Parts, comment: string): Promise<PrivateKey> {
  const parts = Object.fromEntries(Object.entries(views).map(([name, part]) => [name, Buffer.from(part)]))
  try {
    return await PrivateKey.fromParts(algorithm, parts, comment)
  } catch (error) {
    for (const part of Object.values(parts)) part.fill(0)
    throw error
  }
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
