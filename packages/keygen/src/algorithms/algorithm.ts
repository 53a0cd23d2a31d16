import type { Field } from '../fields.js'
import type { Asn1Form } from './asn1/form.js'
import type { JwkForm } from './jwk/form.js'

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
  /** Bytes that follow the signature's own string and belong to it: a token's flags and counter (PROTOCOL.u2f). */
  readonly tail?: number
}

/**
 * Signs with one key: at once where that is quick, in node's threadpool where it is `slow`, or where the caller wants that
 * and the type can.
 */
export type Sign = (scheme: SignatureScheme, data: Uint8Array, inThread?: boolean) => Buffer | Promise<Buffer>

/**
 * Whether the blob of a signature is one key's over `data`. May throw `damaged` for a blob that can be none. Where the
 * scheme has a `tail`, the blob is the signature as a string, then the tail.
 */
export type Verify = (scheme: SignatureScheme, data: Uint8Array, blob: Buffer) => boolean | Promise<boolean>

/**
 * What is particular to a type of public key, certificates among them: one row of the table. A new type is a new row;
 * nothing else branches on names. `Public` are the parts by their names in the specification.
 */
export interface PublicAlgorithm<Public extends Parts = Parts> {
  /** Name on the wire, such as `ssh-ed25519`. */
  readonly name: string
  /** Name that `keytool gen -t` takes, such as `ecdsa-256`. */
  readonly type: string
  /** Name in a fingerprint line, as ssh-keygen prints it, such as `ED25519`. */
  readonly label: string
  /** What follows the name in a public key blob (RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4). */
  readonly publicFields: Field<Public>
  /** The ways it signs, best first. */
  readonly schemes: readonly SignatureScheme[]
  /** Of a certificate: the type of the key it certifies. */
  readonly certifies?: Algorithm

  /** Size in bits, as ssh-keygen counts it. */
  bits(key: Public): number
  /** Throws `damaged` unless the public parts can be a key: lengths, sizes, the point on its curve. */
  checkPublic(key: Public): void
  /** Prepares one key for verifying; what is slow about that is done once. */
  verifier(key: Public): Verify
}

/** A type of key with a private half that a file can hold. */
export interface Algorithm<Public extends Parts = Parts, Private extends Parts = Parts>
  extends PublicAlgorithm<Public> {
  /** Name of its certificates on the wire, where that is not made as for the others. */
  readonly certificateName?: string
  /** What follows the name in OpenSSH's private section and in the agent's ADD_IDENTITY, public parts included. */
  readonly privateFields: Field<Public & Private>
  /**
   * What follows in ADD_IDENTITY where the key comes with its certificate, which has the public parts already. Absent
   * where the secret is in a device.
   */
  readonly secretFields?: Field<Private>
  /** The private section of a PPK file (PuTTY manual, appendix C.3). Absent where PuTTY has no such keys. */
  readonly ppkFields?: Field<Private>
  /** How PKCS#8, SPKI and PEM hold it. Absent where no such form is agreed on. */
  readonly asn1?: Asn1Form<Public, Private>
  /** How a JSON Web Key holds it. Absent where no such form is agreed on. */
  readonly jwk?: JwkForm<Public, Private>
  /** Sizes that may be generated, where there is a choice. */
  readonly sizes?: { readonly min: number; readonly max: number; readonly default: number }
  /** True where a signature takes milliseconds and is therefore made outside the event loop. */
  readonly slow?: true

  /** Rejects with `damaged` unless private and public parts belong together. */
  checkPrivate(key: Public & Private): void | Promise<void>
  /** What takes longer to prove: rejects with `damaged` unless the key is one in every respect. */
  prove?(key: Public & Private): Promise<void>
  /** A fresh key. `bits` only where {@link Algorithm.sizes} says so. Absent for types that are never made here. */
  generate?(bits?: number): Promise<Public & Private>
  /** Prepares one key for signing. Absent where the secret is in a device and the file holds a handle only. */
  signer?(key: Public & Private): Sign
  /** Whether what signs has copied the parts, and does without them afterwards. */
  readonly signsAlone?: true
}
