import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { type BcryptHasher, HASH, inScript } from './bcrypt-script.js'
import { startWasm } from './bcrypt-wasm.js'

let fastest: BcryptHasher | undefined

/**
 * bcrypt_pbkdf, the KDF of OpenSSH's private keys (OpenBSD bcrypt_pbkdf(3)): PBKDF2 with bcrypt's core over SHA-512 in
 * place of HMAC, the output spread so that every key byte needs every block.
 *
 * Some 4 ms a round and 64 bytes of output; between rounds other work gets its turn.
 *
 * @param rounds 1 or more; the caller caps it
 * @param length of the result in bytes, 1 to 1024
 * @param hasher another than the fastest that works here
 */
export async function bcryptPbkdf(
  passphrase: Uint8Array,
  salt: Uint8Array,
  rounds: number,
  length: number,
  hasher?: BcryptHasher,
): Promise<Buffer> {
  const { width, hash } = hasher ?? startFastest()
  const key = Buffer.alloc(length)
  const blocks = Math.ceil(length / HASH)
  const password = sha512(passphrase)
  for (let first = 0; first < blocks; first += width) {
    const salts = Array.from({ length: Math.min(width, blocks - first) }, (_, i) =>
      sha512(salt, encodeNumber(first + i + 1)),
    )
    const sums = await sumRounds(salts, rounds, salts => hash(password, salts))
    sums.forEach((sum, i) => {
      sum.forEach((byte, at) => {
        const to = at * blocks + first + i
        if (to < length) key[to] = byte
      })
    })
    wipe(sums)
  }
  wipe([password])
  return key
}

function startFastest(): BcryptHasher {
  fastest ??= startWasm() ?? inScript
  return fastest
}

/** For each of some blocks, computed side by side: the exclusive or of the hashes of all rounds. */
async function sumRounds(
  salts: readonly Buffer[],
  rounds: number,
  hash: (salts: readonly Buffer[]) => Buffer[],
): Promise<Buffer[]> {
  let hashes = hash(salts)
  const sums = hashes.map(each => Buffer.from(each))
  for (let round = 1; round < rounds; round++) {
    await setImmediate()
    const next = hashes.map(each => sha512(each))
    wipe(hashes)
    hashes = hash(next)
    wipe(next)
    sums.forEach((sum, i) => {
      hashes[i]?.forEach((byte, at) => {
        sum[at] = (sum[at] ?? 0) ^ byte
      })
    })
  }
  wipe(hashes)
  return sums
}

function sha512(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha512')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

function encodeNumber(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function wipe(secrets: readonly Buffer[]): void {
  for (const secret of secrets) secret.fill(0)
}
