import { createHash, createHmac } from 'node:crypto'
import { dsa } from '../../algorithms/dsa.js'
import { KeytoolError } from '../../error.js'
import type { PublicKey } from '../../key.js'
import { type Reader, Writer } from '../../wire.js'
import type { KeyFormat } from '../format.js'
import { inspectPpk, readPpk } from './read.js'
import { SHA1_SIZE, sha1Derivation, sha1MacKey } from './sha1.js'
import { CIPHER, claimedVersion, hasPpkFields, type PpkVersion } from './version.js'

const HASH_NAME = 'Private-Hash'

/**
 * Its MAC covers the private part only, so the public one is as good as the checks of the key's type. Files in the clear
 * have a plain hash in the MAC's place (PuTTY manual, appendix C.5.2).
 */
const version: PpkVersion = {
  number: 1,
  macSize: SHA1_SIZE,
  macNames: ['Private-MAC', HASH_NAME],
  readDerivation: () => sha1Derivation,
  plainMacKey: () => sha1MacKey(),
  mac: (key, _header, plain, name) =>
    (name === HASH_NAME ? createHash('sha1') : createHmac('sha1', key)).update(plain).digest(),
  readMore(reader, publicKey) {
    if (publicKey.algorithm.name === dsa.name) readGroupHash(reader, publicKey)
  },
}

/** A hash of the group follows a DSA key. PuTTY takes files without it, too: what it proves is checked anyway. */
function readGroupHash(reader: Reader, { parts }: PublicKey): void {
  if (reader.left < CIPHER.block) return
  const writer = new Writer()
  for (const name of ['p', 'q', 'g']) writer.mpint(parts[name] ?? Buffer.alloc(0))
  const hash = createHash('sha1').update(writer.done()).digest()
  if (!reader.string(SHA1_SIZE).equals(hash)) {
    throw new KeytoolError('damaged', 'the hash of the DSA group does not fit')
  }
}

/** What snapshots of PuTTY wrote between 0.51 and 0.52, and no release ever did. Read only, as PuTTY does. */
export const ppk1: KeyFormat = {
  name: 'ppk1',
  title: 'PuTTY version 1',
  ciphers: [],
  holds: hasPpkFields,
  keepsComment: true,

  detect: bytes => claimedVersion(bytes) === '1',
  inspect: bytes => inspectPpk(version, bytes),
  read: (bytes, options) => readPpk(version, bytes, options),
}
