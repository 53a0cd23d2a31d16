import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { Blowfish } from './blowfish.js'

/** What bcrypt's hash yields, in bytes. */
const HASH = 32
/** The 256 bits that are enciphered with the final state, as eight words. */
const MAGIC = toWords(Buffer.from('OxychromaticBlowfishSwatDynamite', 'latin1'))

/**
 * bcrypt_pbkdf, the KDF of OpenSSH's private keys (OpenBSD bcrypt_pbkdf(3)): PBKDF2 with bcrypt's core over SHA-512 in
 * place of HMAC, the output spread so that every key byte needs every block.
 *
 * Some 4 ms a round and 32 bytes of output; between rounds other work gets its turn.
 *
 * @param rounds 1 or more; the caller caps it
 * @param length of the result in bytes, 1 to 1024
 */
export async function bcryptPbkdf(
  passphrase: Uint8Array,
  salt: Uint8Array,
  rounds: number,
  length: number,
): Promise<Buffer> {
  const key = Buffer.alloc(length)
  const blocks = Math.ceil(length / HASH)
  const passwordHash = sha512(passphrase)
  const password = toWords(passwordHash)
  passwordHash.fill(0)
  for (let block = 0; block < blocks; block++) {
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(block + 1)
    let hash = bcryptHash(password, toWords(sha512(salt, counter)))
    const sum = Buffer.from(hash)
    for (let round = 1; round < rounds; round++) {
      await setImmediate()
      hash = bcryptHash(password, toWords(sha512(hash)))
      for (let i = 0; i < HASH; i++) sum[i] = (sum[i] ?? 0) ^ (hash[i] ?? 0)
    }
    for (let i = 0; i < HASH; i++) {
      const to = i * blocks + block
      if (to < length) key[to] = sum[i] ?? 0
    }
    sum.fill(0)
    hash.fill(0)
  }
  password.fill(0)
  return key
}

/** bcrypt at cost 6 with 64-byte key and salt, its words put out low byte first. */
function bcryptHash(password: Int32Array, salt: Int32Array): Buffer {
  const state = new Blowfish()
  state.expand(password, salt)
  for (let i = 0; i < 64; i++) {
    state.expand(salt)
    state.expand(password)
  }
  const words = Int32Array.from(MAGIC)
  for (let i = 0; i < 64; i++) state.encipher(words)
  state.wipe()
  const out = Buffer.alloc(HASH)
  words.forEach((value, i) => {
    out.writeInt32LE(value, i * 4)
  })
  return out
}

function sha512(...parts: Uint8Array[]): Buffer {
  const hash = createHash('sha512')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

function toWords(bytes: Buffer): Int32Array {
  return Int32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readInt32BE(i * 4))
}
