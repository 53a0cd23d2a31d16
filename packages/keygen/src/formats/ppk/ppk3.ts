import type { WritableFormat } from '../format.js'
import { argon2Derivation, chooseArgon2, MAC_SIZE, readArgon2 } from './argon2.js'
import { macOfAll } from './mac.js'
import { inspectPpk, readPpk } from './read.js'
import { CIPHER, claimedVersion, hasPpkFields, type PpkVersion } from './version.js'
import { writePpk } from './write.js'

/** PuTTY manual, appendices C.2 and C.4. */
const version: PpkVersion = {
  number: 3,
  macSize: MAC_SIZE,
  macNames: ['Private-MAC'],
  readDerivation: lines => argon2Derivation(readArgon2(lines)),
  plainMacKey: () => Buffer.alloc(0),
  mac: (key, header, plain) => macOfAll('sha256', key, header, plain),
}

/** PuTTY's format since 0.75. Whatever is neither version 1 nor 2 is taken for it, so that it says what it is not. */
export const ppk3: WritableFormat = {
  name: 'ppk3',
  option: 'ppk',
  title: 'PuTTY version 3',
  ciphers: [CIPHER.name],
  tuning: ['argon2'],
  holds: hasPpkFields,
  keepsComment: true,

  detect: bytes => !['1', '2', undefined].includes(claimedVersion(bytes)),
  inspect: bytes => inspectPpk(version, bytes),
  read: (bytes, options) => readPpk(version, bytes, options),
  write: (key, options = {}) => writePpk(version, key, options, () => argon2Derivation(chooseArgon2(options.argon2))),
}
