import { KeytoolError } from '../error.js'
import type { Argon2Parameters } from './argon2.js'
import type { ScryptParameters } from './scrypt.js'

/** How much a file may demand before its KDF is started. A file is foreign until it is open. */
export interface Limits {
  /** KiB that Argon2 may take. */
  readonly argon2Memory: number
  /** KiB times passes: what Argon2's time grows with. */
  readonly argon2Work: number
  /** Rounds of bcrypt_pbkdf. */
  readonly bcryptRounds: number
  /** Iterations of PBKDF2. */
  readonly pbkdf2Iterations: number
  /** Iterations of the KDFs before it, which are not native: PBKDF1 and PKCS#12's. */
  readonly oldKdfIterations: number
  /** KiB that scrypt may take. */
  readonly scryptMemory: number
  /** KiB times lanes, which are computed one after the other: what scrypt's time grows with. */
  readonly scryptWork: number
}

/** One GiB and about a minute on a slow machine. */
export const defaultLimits: Limits = {
  argon2Memory: 1 << 20,
  argon2Work: 1 << 26,
  bcryptRounds: 8192,
  pbkdf2Iterations: 1 << 26,
  oldKdfIterations: 1 << 23,
  scryptMemory: 1 << 20,
  scryptWork: 1 << 24,
}

/** For a file that is known to be dear: whatever it asks for. */
export const noLimits: Limits = {
  argon2Memory: Number.POSITIVE_INFINITY,
  argon2Work: Number.POSITIVE_INFINITY,
  bcryptRounds: Number.POSITIVE_INFINITY,
  pbkdf2Iterations: Number.POSITIVE_INFINITY,
  oldKdfIterations: Number.POSITIVE_INFINITY,
  scryptMemory: Number.POSITIVE_INFINITY,
  scryptWork: Number.POSITIVE_INFINITY,
}

/** RFC 9106 section 3.1. */
const MAX_LANES = (1 << 24) - 1
const MAX_U32 = 2 ** 32 - 1

/** The ranges of RFC 9106 section 3.1, then the limits. */
export function checkArgon2({ memory, passes, parallelism, salt }: Argon2Parameters, limits: Limits): void {
  if (
    passes < 1 ||
    parallelism < 1 ||
    parallelism > MAX_LANES ||
    memory > MAX_U32 ||
    passes > MAX_U32 ||
    memory < 8 * parallelism ||
    salt.length < 8 ||
    salt.length > 1024
  ) {
    throw new KeytoolError('damaged', 'the Argon2 parameters are out of their range')
  }
  if (memory > limits.argon2Memory) throw tooCostly(`${memory} KiB of memory`, `${limits.argon2Memory} KiB`)
  if (memory * passes > limits.argon2Work) {
    throw tooCostly(`${passes} passes over ${memory} KiB`, 'about a minute of work')
  }
}

export function checkBcrypt(rounds: number, limits: Limits): void {
  if (rounds < 1) throw new KeytoolError('damaged', 'the key file asks for no bcrypt round at all')
  if (rounds > limits.bcryptRounds) throw tooCostly(`${rounds} bcrypt rounds`, `${limits.bcryptRounds}`)
}

export function checkPbkdf2(iterations: number, limits: Limits): void {
  if (iterations < 1) throw new KeytoolError('damaged', 'the key file asks for no iteration of PBKDF2 at all')
  if (iterations > limits.pbkdf2Iterations) {
    throw tooCostly(`${iterations} iterations of PBKDF2`, `${limits.pbkdf2Iterations}`)
  }
}

export function checkOldKdf(iterations: number, limits: Limits): void {
  if (iterations < 1) throw new KeytoolError('damaged', 'the key file asks for no iteration of its KDF at all')
  if (iterations > limits.oldKdfIterations) throw tooCostly(`${iterations} iterations`, `${limits.oldKdfIterations}`)
}

/** RFC 7914 section 2. */
export function checkScrypt({ cost, blockSize, parallelism }: ScryptParameters, limits: Limits): void {
  const isPowerOfTwo = (cost & (cost - 1)) === 0
  // N stays below 2^(128 r / 8).
  if (cost < 2 || !isPowerOfTwo || blockSize < 1 || parallelism < 1 || Math.log2(cost) >= 16 * blockSize) {
    throw new KeytoolError('damaged', 'the scrypt parameters are out of their range')
  }
  // Besides the one lane at work, each has a block of its own.
  const memory = Math.ceil((blockSize * (cost + parallelism)) / 8)
  if (memory > limits.scryptMemory) throw tooCostly(`${memory} KiB of memory`, `${limits.scryptMemory} KiB`)
  if (memory * parallelism > limits.scryptWork) {
    throw tooCostly(`${parallelism} lanes of ${memory} KiB`, 'about a minute of work')
  }
}

function tooCostly(demand: string, limit: string): KeytoolError {
  return new KeytoolError('unsupported', 'opening the key would cost too much', {
    reason: `it asks for ${demand}; the limit is ${limit}`,
    hint: 'to open it all the same: --any-cost',
  })
}
