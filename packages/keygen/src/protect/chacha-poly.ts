import { createCipheriv, timingSafeEqual } from 'node:crypto'
import { openStream } from './masked.js'
import { poly1305 } from './poly1305.js'

/** In bytes. The second 32 of the 64 key bytes encrypt a packet's length; a file has none. */
const SIZES = { key: 32, tag: 16 }

/**
 * chacha20-poly1305@openssh.com as key files use it (PROTOCOL.chacha20poly1305): sequence number 0, no packet length.
 *
 * It is not RFC 8439's construction, which node has: the nonce is the original one of 64 bits, and the tag is of the
 * ciphertext alone, without its length.
 *
 * @param key 64 bytes
 * @returns ciphertext, then tag
 */
export function sealChachaPoly(key: Buffer, plain: Uint8Array): Buffer {
  const sealed = keystream(key, 1, plain)
  return Buffer.concat([sealed, tagOf(key, sealed)])
}

/** The reverse of {@link sealChachaPoly}; `undefined` when the tag does not fit. */
export function openChachaPoly(key: Buffer, sealed: Buffer): Buffer | undefined {
  const body = sealed.subarray(0, sealed.length - SIZES.tag)
  if (!timingSafeEqual(tagOf(key, body), sealed.subarray(body.length))) return undefined
  return openStream('chacha20', key.subarray(0, SIZES.key), ivOf(1), body)
}

/** Block 0 of the keystream is the tag's key; the text starts at block 1. */
function tagOf(key: Buffer, sealed: Buffer): Buffer {
  const once = keystream(key, 0, Buffer.alloc(32))
  try {
    return poly1305(once, sealed)
  } finally {
    once.fill(0)
  }
}

function keystream(key: Buffer, block: number, text: Uint8Array): Buffer {
  return createCipheriv('chacha20', key.subarray(0, SIZES.key), ivOf(block)).update(text)
}

/** OpenSSL's IV: the number of the first block, little-endian in 8 bytes, then the nonce. */
function ivOf(block: number): Buffer {
  const iv = Buffer.alloc(16)
  iv.writeUInt32LE(block)
  return iv
}
