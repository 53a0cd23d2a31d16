import type { KeyObject } from 'node:crypto'
import type { Field } from '../fields.js'

/** The values of a key's fields by name: raw strings and unsigned big-endian numbers. */
export type Parts = Readonly<Record<string, Buffer>>

/** A hash that RSA signatures may use (RFC 8332). The other types fix their own. */
export type SignatureHash = 'sha1' | 'sha256' | 'sha512'

/** One way a key signs. */
export interface SignatureScheme {
  /** The name in the signature, RFC 4253 section 6.6. */
  readonly name: string
  /** What node:crypto hashes with; `null` where the type hashes by itself. */
  readonly hash: SignatureHash | 'sha384' | null
}

/**
 * One row of the table of key types: all that is particular to it. A new type is a new row; nothing else branches on
 * names. `Public` and `Private` are the parts by their names in the specification.
 */
export interface Algorithm<Public extends Parts = Parts, Private extends Parts = Parts> {
  /** Name on the wire, such as `ssh-ed25519`. */
  readonly name: string
  /** Name that `keytool gen -t` takes, such as `ecdsa-256`. */
  readonly type: string
  /** Name in a fingerprint line, as ssh-keygen prints it, such as `ED25519`. */
  readonly label: string
  /** What follows the name in a public key blob (RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4). */
  readonly publicFields: Field<Public>
  /** What follows the name in OpenSSH's private section and in the agent's ADD_IDENTITY, public parts included. */
  readonly privateFields: Field<Public & Private>
  /** The private section of a PPK file (PuTTY manual, appendix C.3). */
  readonly ppkFields: Field<Private>
  /** The ways it signs, best first. */
  readonly schemes: readonly SignatureScheme[]

  /** Size in bits, as ssh-keygen counts it. */
  bits(key: Public): number
  /** Throws `damaged` unless the public parts can be a key: lengths, sizes, the point on its curve. */
  checkPublic(key: Public): void
  /** Throws `damaged` unless private and public parts belong together. */
  checkPrivate(key: Public & Private): void
  /** A fresh key. `bits` only where {@link Algorithm.sizes} says so. */
  generate(bits?: number): Promise<Public & Private>
  /** Sizes that may be generated, where there is a choice. */
  readonly sizes?: { readonly min: number; readonly max: number; readonly default: number }

  publicObject(key: Public): KeyObject
  privateObject(key: Public & Private): KeyObject
  /** Where node's form of a raw signature is not SSH's (RFC 5656 section 3.1.2): the translations. */
  readonly signatureForm?: {
    toSsh(raw: Buffer): Buffer
    fromSsh(blob: Buffer): Buffer
  }
}
