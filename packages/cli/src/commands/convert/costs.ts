import { KeytoolError, keyFormats, type WritableFormat, type WriteOptions } from '@keytool/keygen'
import { wholeNumber } from '../../options.js'
import type { Options } from './options.js'

/** Which part of a format each option turns. */
const dials = [
  { name: 'rounds', flag: '--rounds', tuning: 'rounds' },
  { name: 'kdf', flag: '--kdf', tuning: 'kdf' },
  { name: 'argon2', flag: '--argon2', tuning: 'argon2' },
  { name: 'memory', flag: '--memory', tuning: 'argon2' },
  { name: 'passes', flag: '--passes', tuning: 'argon2' },
  { name: 'parallel', flag: '--parallel', tuning: 'argon2' },
] as const

const kinds = { id: 'Argon2id', i: 'Argon2i', d: 'Argon2d' } as const

/** What a file of this format is to be protected with. Throws `usage` for an option that means nothing to it. */
export function costsOf(options: Options, to: WritableFormat): WriteOptions {
  const { cipher, rounds, kdf, argon2, memory, passes, parallel } = options
  const foreign = dials.find(({ name, tuning }) => options[name] !== undefined && !to.tuning?.includes(tuning))
  if (foreign) throw new KeytoolError('usage', `${foreign.flag} belongs to ${whoHas(foreign.tuning)}`)
  if (cipher !== undefined && !to.ciphers.includes(cipher)) throw unknownCipher(cipher, to)
  const kind = argon2 === undefined ? undefined : kinds[argon2 as keyof typeof kinds]
  if (argon2 !== undefined && !kind) {
    throw new KeytoolError('usage', `--argon2 takes id, i or d, not ${JSON.stringify(argon2)}`)
  }
  if (kdf !== undefined && kdf !== 'pbkdf2' && kdf !== 'scrypt') {
    throw new KeytoolError('usage', `--kdf takes pbkdf2 or scrypt, not ${JSON.stringify(kdf)}`)
  }
  return {
    ...(cipher !== undefined && { cipher }),
    ...(kdf !== undefined && { kdf }),
    // PBKDF2 counts in thousands what bcrypt counts in ones.
    ...(rounds !== undefined && {
      rounds: wholeNumber(rounds, '--rounds', 1, to.tuning?.includes('kdf') ? 10_000_000 : 8192),
    }),
    ...(dials.some(({ name, tuning }) => tuning === 'argon2' && options[name] !== undefined) && {
      argon2: {
        ...(kind && { kind }),
        ...(memory !== undefined && { memory: wholeNumber(memory, '--memory', 8, 1 << 20) }),
        ...(passes !== undefined && { passes: wholeNumber(passes, '--passes', 1, 1 << 20) }),
        ...(parallel !== undefined && { parallelism: wholeNumber(parallel, '--parallel', 1, (1 << 24) - 1) }),
      },
    }),
  }
}

function whoHas(tuning: 'rounds' | 'kdf' | 'argon2'): string {
  const options = keyFormats.filter(row => row.option !== undefined && row.tuning?.includes(tuning))
  return options.map(row => `--to ${row.option}`).join(' or ')
}

function unknownCipher(cipher: string, to: WritableFormat): KeytoolError {
  const known = keyFormats.some(row => row.ciphers.includes(cipher))
  return new KeytoolError(
    'usage',
    known ? `${to.title} files do not use ${cipher}` : `${JSON.stringify(cipher)} is no cipher for keys`,
    { hint: to.ciphers.length > 0 ? `one of: ${to.ciphers.join(', ')}` : `${to.title} files can't be encrypted` },
  )
}
