import { type DerReader, dotted } from '../der-reader.js'
import { KeytoolError } from '../error.js'
import type { KdfFacts } from '../formats/format.js'
import type { Limits } from './caps.js'
import { REWRITE } from './pbe-cbc.js'
import { readOldScheme } from './pbe-old.js'
import { PBES2, readPbes2 } from './pbe-pbes2.js'

/** A KDF with the parameters of one file. */
export interface PbeKdf {
  readonly facts: KdfFacts
  /** The length of the key that the file names, where it names one. In bytes. */
  readonly length: number | undefined
  /** Throws `unsupported` when it costs more than allowed, `damaged` for parameters out of range. */
  check(limits: Limits): void
  /** @param size of the result in bytes; the caller wipes it */
  derive(passphrase: Uint8Array, size: number): Promise<Buffer>
}

/** A password-based encryption with the parameters of one file. */
export interface Pbe {
  readonly kdf: KdfFacts
  /** In OpenSSH's spelling. */
  readonly cipher: string
  /** Throws `unsupported` when it costs more than allowed, `damaged` for parameters out of range. */
  check(limits: Limits): void
  /**
   * What was encrypted, without its padding; the caller wipes it. {@link Pbe.check} comes before.
   * Rejects with `damaged`, or `secret-wrong` for nonsense.
   */
  open(passphrase: Uint8Array, sealed: Buffer): Promise<Buffer>
}

/**
 * The encryptionAlgorithm of an EncryptedPrivateKeyInfo, RFC 5958 section 3: PBES2 or one of those before it.
 * Throws `damaged` or `unsupported`.
 */
export function readPbe(from: DerReader): Pbe {
  const fields = from.sequence()
  const id = fields.oid()
  const parameters = fields.sequence()
  fields.end()
  const pbe = id === PBES2 ? readPbes2(parameters) : readOldScheme(id, parameters)
  if (pbe) return pbe
  throw new KeytoolError('unsupported', `the encryption of the key, ${dotted(id)}, is not supported`, {
    hint: REWRITE,
  })
}
