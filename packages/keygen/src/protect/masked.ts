import { type CipherGCMTypes, createCipheriv, createDecipheriv, randomFillSync, timingSafeEqual } from 'node:crypto'

/*
 * Decryption whose result lies in one place, which the caller can wipe. What a cipher of node's hands out has been copied
 * once inside node, and the copy is freed as it is: a secret could stay in there for hours. So node is never given what
 * would make it hand out the secret itself, but only the secret behind a random mask that nobody keeps.
 */

/**
 * A cipher that adds a keystream, such as `aes-256-ctr` and `chacha20`: the mask goes through in place of the text.
 * @param openssl OpenSSL's name of it
 */
export function openStream(openssl: string, key: Buffer, iv: Buffer, sealed: Uint8Array): Buffer {
  const plain = randomFillSync(Buffer.alloc(sealed.length))
  const masked = createCipheriv(openssl, key, iv).update(plain)
  for (const [i, byte] of masked.entries()) plain[i] = (plain[i] ?? 0) ^ byte ^ (sealed[i] ?? 0)
  return plain
}

/**
 * AES-GCM with a nonce of 12 bytes: its text is AES-CTR's from block 2 on (NIST SP 800-38D section 7.1), and the tag is
 * that of encrypting it again.
 * @returns `undefined` when the tag does not fit
 */
export function openGcm(
  openssl: CipherGCMTypes,
  key: Buffer,
  iv: Buffer,
  sealed: Buffer,
  tag: Buffer,
): Buffer | undefined {
  const plain = openStream(openssl.replace('gcm', 'ctr'), key, Buffer.concat([iv, Buffer.from([0, 0, 0, 2])]), sealed)
  const sealing = createCipheriv(openssl, key, iv, { authTagLength: tag.length })
  const same = sealing.update(plain).equals(sealed)
  sealing.final()
  if (same && timingSafeEqual(sealing.getAuthTag(), tag)) return plain
  plain.fill(0)
  return undefined
}

/**
 * A block cipher in CBC without padding: before each block a random one goes through, which masks the one behind it.
 * @param sealed whole blocks, as many as the IV is long
 */
export function openCbc(openssl: string, key: Buffer, iv: Buffer, sealed: Uint8Array): Buffer {
  const block = iv.length
  const text = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.length)
  const mixed = randomFillSync(Buffer.alloc(2 * text.length))
  for (let at = 0; at < text.length; at += block) text.copy(mixed, 2 * at + block, at, at + block)
  const masked = createDecipheriv(openssl, key, iv).setAutoPadding(false).update(mixed)
  const plain = Buffer.alloc(text.length)
  for (let i = 0; i < plain.length; i++) {
    const at = i - (i % block) + i
    const before = i < block ? iv[i] : text[i - block]
    plain[i] = (masked[at + block] ?? 0) ^ (mixed[at] ?? 0) ^ (before ?? 0)
  }
  mixed.fill(0)
  return plain
}
