import type { Argon2Kind } from '../protect/argon2.js'
import type { KdfFacts, KeyFacts, KeyFormat, WriteOptions } from './format.js'

/**
 * What to write a file with so that it is protected as this one was: same cipher, same costs. A cipher that is only read
 * gives way to the format's own.
 */
export function optionsLike({ cipher, kdf }: Pick<KeyFacts, 'cipher' | 'kdf'>, format: KeyFormat): WriteOptions {
  return {
    ...(cipher !== undefined && format.ciphers.includes(cipher) && { cipher }),
    ...(kdf && costsLike(kdf, format)),
  }
}

/** The dearer of two ways to write the same file: for a passphrase that is set anew on a file of cheaper days. */
export function dearer(old: WriteOptions, fresh: WriteOptions): WriteOptions {
  // scrypt's costs are the format's own.
  if (old.kdf === 'scrypt') return old
  const { rounds = 0, argon2 } = old
  const passes = Math.max(argon2?.passes ?? 0, fresh.argon2?.passes ?? 0)
  return {
    ...old,
    ...(fresh.rounds !== undefined && { rounds: Math.max(rounds, fresh.rounds) }),
    ...(fresh.argon2 && { argon2: { ...argon2, memory: Math.max(argon2?.memory ?? 0, 8192), passes } }),
  }
}

function costsLike({ name, rounds, memory, passes, parallelism }: KdfFacts, { tuning = [] }: KeyFormat): WriteOptions {
  // PKCS#8 files of the years before PBKDF2 count other things as their iterations.
  const isCounted = name === 'bcrypt' || name.startsWith('pbkdf2')
  return {
    ...(tuning.includes('kdf') && name === 'scrypt' && { kdf: 'scrypt' }),
    ...(tuning.includes('rounds') && isCounted && rounds !== undefined && { rounds }),
    ...(tuning.includes('argon2') &&
      memory !== undefined &&
      passes !== undefined &&
      parallelism !== undefined && {
        argon2: { kind: name as Argon2Kind, memory, passes, parallelism },
      }),
  }
}
