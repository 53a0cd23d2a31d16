import { randomBytes } from 'node:crypto'
import { KeytoolError } from '../../error.js'
import { type Argon2Kind, type Argon2Parameters, argon2 } from '../../protect/argon2.js'
import { checkArgon2, defaultLimits } from '../../protect/caps.js'
import type { WriteOptions } from '../format.js'
import type { PpkLines } from './lines.js'
import { CIPHER, type Derivation } from './version.js'

/** Of the MAC and of its key, in bytes. */
export const MAC_SIZE = 32
/** Salt of PuTTYgen's, and costs that take about a third of a second in PuTTYgen on a slow machine. */
const DEFAULTS = { kind: 'Argon2id', memory: 8192, passes: 21, parallelism: 1, salt: 16 } as const

/** PuTTY manual, appendices C.2 and C.4. */
export function argon2Derivation(parameters: Argon2Parameters): Derivation {
  const { kind, memory, passes, parallelism, salt } = parameters
  return {
    facts: { name: kind, memory, passes, parallelism },
    lines: [
      `Key-Derivation: ${kind}`,
      `Argon2-Memory: ${memory}`,
      `Argon2-Passes: ${passes}`,
      `Argon2-Parallelism: ${parallelism}`,
      `Argon2-Salt: ${Buffer.from(salt).toString('hex')}`,
    ],
    check: limits => checkArgon2(parameters, limits),
    derive: passphrase => argon2(passphrase, parameters, CIPHER.key + CIPHER.iv + MAC_SIZE),
  }
}

/** The parameters in a file. Throws `damaged`, or `unsupported` for a KDF of another kind. */
export function readArgon2(lines: PpkLines): Argon2Parameters {
  const kind = lines.value('Key-Derivation')
  if (!isKind(kind)) {
    throw new KeytoolError('unsupported', `the KDF ${JSON.stringify(kind.slice(0, 64))} is not one of PPK's`)
  }
  return {
    kind,
    memory: lines.number('Argon2-Memory'),
    passes: lines.number('Argon2-Passes'),
    parallelism: lines.number('Argon2-Parallelism'),
    salt: lines.hex('Argon2-Salt'),
  }
}

/** The parameters of a new file, with a fresh salt. Throws `usage` for costs out of range. */
export function chooseArgon2(wanted: WriteOptions['argon2'] = {}): Argon2Parameters {
  const { salt, ...costs } = { ...DEFAULTS, ...wanted }
  const parameters = { ...costs, salt: randomBytes(salt) }
  try {
    checkArgon2(parameters, defaultLimits)
  } catch (cause) {
    // The same check that protects from a file; here the numbers are the caller's own.
    throw new KeytoolError('usage', cause instanceof KeytoolError ? cause.message : String(cause), { cause })
  }
  return parameters
}

function isKind(text: string): text is Argon2Kind {
  return text === 'Argon2id' || text === 'Argon2i' || text === 'Argon2d'
}
