import type * as Native from '@node-rs/argon2'
import { KeytoolError } from '../error.js'

/** The three kinds, under the names that PPK files give them. */
export type Argon2Kind = 'Argon2d' | 'Argon2i' | 'Argon2id'

export interface Argon2Parameters {
  readonly kind: Argon2Kind
  /** In KiB. */
  readonly memory: number
  readonly passes: number
  readonly parallelism: number
  readonly salt: Uint8Array
}

/** node-rs's numbers of the kinds. Its enum exists in types only. */
const kinds: Readonly<Record<Argon2Kind, Native.Algorithm>> = { Argon2d: 0, Argon2i: 1, Argon2id: 2 }
/** Version 1.3 of Argon2, RFC 9106. */
const VERSION_13: Native.Version = 1

/**
 * Argon2 (RFC 9106): natively in the threadpool, or in WebAssembly where the native build does not load.
 * @param length of the result in bytes
 * @throws KeytoolError `failed` when it has not the memory it needs
 */
export async function argon2(passphrase: Uint8Array, parameters: Argon2Parameters, length: number): Promise<Buffer> {
  const native = await import('@node-rs/argon2').catch(() => undefined)
  try {
    return await (native ? natively(native, passphrase, parameters, length) : inWasm(passphrase, parameters, length))
  } catch (cause) {
    throw new KeytoolError('failed', "the key can't be opened or written: Argon2 failed", {
      reason: `it needs ${Math.ceil(parameters.memory / 1024)} MiB of memory`,
      cause,
    })
  }
}

function natively(
  { hashRaw }: typeof Native,
  passphrase: Uint8Array,
  { kind, memory, passes, parallelism, salt }: Argon2Parameters,
  length: number,
): Promise<Buffer> {
  return hashRaw(passphrase, {
    algorithm: kinds[kind],
    version: VERSION_13,
    memoryCost: memory,
    timeCost: passes,
    parallelism,
    salt,
    outputLen: length,
  })
}

/** Exported so that the fallback is tested where the native build loads, too. */
export async function inWasm(
  passphrase: Uint8Array,
  { kind, memory, passes, parallelism, salt }: Argon2Parameters,
  length: number,
): Promise<Buffer> {
  const wasm = await import('hash-wasm')
  const hashes = { Argon2d: wasm.argon2d, Argon2i: wasm.argon2i, Argon2id: wasm.argon2id }
  const hash = await hashes[kind]({
    password: passphrase,
    salt,
    memorySize: memory,
    iterations: passes,
    parallelism,
    hashLength: length,
    outputType: 'binary',
  })
  return Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength)
}
