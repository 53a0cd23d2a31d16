import { createHash } from 'node:crypto'
import { CIPHER, type Derivation } from './version.js'

/** Of SHA-1 and of HMAC-SHA-1, in bytes. */
export const SHA1_SIZE = 20

/** How the old versions derive: a few SHA-1 without salt or cost (PuTTY manual, appendix C.5.1). */
export const sha1Derivation: Derivation = {
  facts: { name: 'sha1' },
  lines: [],
  check() {
    // It costs next to nothing.
  },
  async derive(passphrase) {
    const hashes = [hash(counter(0), passphrase), hash(counter(1), passphrase)]
    const stream = Buffer.concat(hashes)
    const macKey = sha1MacKey(passphrase)
    try {
      return Buffer.concat([stream.subarray(0, CIPHER.key), Buffer.alloc(CIPHER.iv), macKey])
    } finally {
      for (const buffer of [...hashes, stream, macKey]) buffer.fill(0)
    }
  },
}

/** The MAC key; of a file in the clear that of an empty passphrase. */
export function sha1MacKey(passphrase: Uint8Array = Buffer.alloc(0)): Buffer {
  return hash(Buffer.from('putty-private-key-file-mac-key'), passphrase)
}

/** A uint32, high byte first. */
function counter(value: number): Buffer {
  return Buffer.of(0, 0, 0, value)
}

function hash(...parts: readonly Uint8Array[]): Buffer {
  const sha1 = createHash('sha1')
  for (const part of parts) sha1.update(part)
  return sha1.digest()
}
