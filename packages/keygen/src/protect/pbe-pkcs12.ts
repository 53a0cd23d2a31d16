import { isUtf8, transcode } from 'node:buffer'
import { createHash } from 'node:crypto'

/** SHA-1's block, in bytes: what appendix B.2 calls v. */
const BLOCK = 64

/**
 * The KDF of PKCS#12 with SHA-1, RFC 7292 appendix B.2.
 * @param purpose 1 for a key, 2 for an IV
 * @param size of the result in bytes; the caller wipes it
 * @param again hashes a digest as often as there are iterations after the first; the digest becomes its own
 */
export async function pkcs12Kdf(
  purpose: 1 | 2,
  passphrase: Uint8Array,
  salt: Buffer,
  size: number,
  again: (digest: Buffer) => Promise<Buffer>,
): Promise<Buffer> {
  const secret = toBmp(passphrase)
  const input = Buffer.concat([fillBlocks(salt), fillBlocks(secret)])
  secret.fill(0)
  const result = Buffer.alloc(size)
  for (let at = 0; at < size; ) {
    const digest = await again(createHash('sha1').update(Buffer.alloc(BLOCK, purpose)).update(input).digest())
    at += digest.copy(result, at)
    addToEach(input, Buffer.alloc(BLOCK, digest))
    digest.fill(0)
  }
  input.fill(0)
  return result
}

/** UTF-16, big-endian, with a zero at the end (RFC 7292 appendix B.1). Bytes that are no UTF-8 are taken one by one, as OpenSSL does. */
function toBmp(passphrase: Uint8Array): Buffer {
  const text = transcode(passphrase, isUtf8(passphrase) ? 'utf8' : 'latin1', 'utf16le')
  const bytes = Buffer.alloc(text.length + 2)
  text.copy(bytes)
  text.fill(0)
  return bytes.swap16()
}

/** Over and over, up to a whole number of blocks. */
function fillBlocks(bytes: Buffer): Buffer {
  const size = BLOCK * Math.ceil(bytes.length / BLOCK)
  return size === 0 ? Buffer.alloc(0) : Buffer.alloc(size, bytes)
}

/** Adds a number and one to each block, in place, modulo the block's size. */
function addToEach(blocks: Buffer, number: Buffer): void {
  for (let block = 0; block < blocks.length; block += BLOCK) {
    let carry = 1
    for (let i = BLOCK - 1; i >= 0; i--) {
      const sum = (blocks[block + i] ?? 0) + (number[i] ?? 0) + carry
      blocks[block + i] = sum & 0xff
      carry = sum >> 8
    }
  }
}
