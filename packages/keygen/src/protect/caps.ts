import { KeytoolError } from '../error.js'
import type { Argon2Parameters } from './argon2.js'

/** How much a file may demand before its KDF is started. A file is foreign until it is open. */
export interface Limits {
  /** KiB that Argon2 may take. */
  readonly argon2Memory: number
  /** KiB times passes: what Argon2's time grows with. */
  readonly argon2Work: number
  /** Rounds of bcrypt_pbkdf. */
  readonly bcryptRounds: number
}

/** One GiB and about a minute on a slow machine. */
export const defaultLimits: Limits = { argon2Memory: 1 << 20, argon2Work: 1 << 26, bcryptRounds: 8192 }

/** RFC 9106 section 3.1; PuTTY's own lower bounds are the same. */
export function checkArgon2({ memory, passes, parallelism, salt }: Argon2Parameters, limits: Limits): void {
  if (
    passes < 1 ||
    parallelism < 1 ||
    parallelism > 255 ||
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

function tooCostly(demand: string, limit: string): KeytoolError {
  return new KeytoolError('unsupported', 'opening the key would cost too much', {
    reason: `it asks for ${demand}; the limit is ${limit}`,
  })
}
