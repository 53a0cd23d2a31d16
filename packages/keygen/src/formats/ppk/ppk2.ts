import type { WritableFormat } from '../format.js'
import { macOfAll } from './mac.js'
import { inspectPpk, readPpk } from './read.js'
import { SHA1_SIZE, sha1Derivation, sha1MacKey } from './sha1.js'
import { CIPHER, claimedVersion, hasPpkFields, type PpkVersion } from './version.js'
import { writePpk } from './write.js'

/** PuTTY manual, appendix C.5.1. */
const version: PpkVersion = {
  number: 2,
  macSize: SHA1_SIZE,
  macNames: ['Private-MAC'],
  readDerivation: () => sha1Derivation,
  plainMacKey: () => sha1MacKey(),
  mac: (key, header, plain) => macOfAll('sha1', key, header, plain),
}

/** PuTTY's format from 0.52 to 0.74. Its passphrases are cheap to guess: for programs that read nothing newer. */
export const ppk2: WritableFormat = {
  name: 'ppk2',
  option: 'ppk2',
  title: 'PuTTY version 2',
  ciphers: [CIPHER.name],
  holds: hasPpkFields,
  keepsComment: true,

  detect: bytes => claimedVersion(bytes) === '2',
  inspect: bytes => inspectPpk(version, bytes),
  read: (bytes, options) => readPpk(version, bytes, options),
  write: (key, options = {}) => writePpk(version, key, options, () => sha1Derivation),
}
