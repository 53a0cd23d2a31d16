import type { DerReader } from '../../der-reader.js'
import type { Parts } from '../algorithm.js'

/** The parameters of an AlgorithmIdentifier (RFC 5280 section 4.1.1.2), as DER: what stands after the identifier. */
export type Parameters = Buffer

/**
 * How the ASN.1 formats hold one type of key. What the readers return are views of the content, or computed. They throw
 * `damaged`, and do arithmetic only on numbers whose size they have checked; whether the parts belong together is not
 * theirs to tell. The caller looks that nothing is left of the content.
 */
export interface Asn1Form<Public extends Parts = Parts, Private extends Parts = Parts> {
  /** The algorithm's OBJECT IDENTIFIER: its encoded content in hex. */
  readonly oid: string
  /** What stands beside the identifier: NULL for RSA, the curve for ECDSA, p, q and g for DSA, nothing for EdDSA. */
  parameters(key: Public): Uint8Array
  /**
   * Whether parameters found in a file are this row's: rows that share an identifier differ in their curve. Throws
   * `unsupported` for parameters that no row takes, where there is something to say about them.
   */
  owns(parameters: Parameters): boolean
  /** Content of the BIT STRING of a SubjectPublicKeyInfo. */
  writePublic(key: Public): Buffer
  readPublic(content: DerReader, parameters: Parameters): Public
  /** Content of the OCTET STRING of a PrivateKeyInfo (RFC 5958). The caller wipes it. */
  writePrivate(key: Public & Private): Buffer
  /** Public parts that the layout leaves out are computed. */
  readPrivate(content: DerReader, parameters: Parameters): Public & Private
  /** How PEM files older than PKCS#8 hold it. */
  readonly traditional?: TraditionalForm<Public, Private>
}

/** The layouts of PEM files that tell the type of key in their label. */
export interface TraditionalForm<Public extends Parts = Parts, Private extends Parts = Parts> {
  /** What stands between the dashes, such as `RSA PRIVATE KEY`. */
  readonly label: string
  /** The caller wipes it. */
  write(key: Public & Private): Buffer
  read(content: DerReader): Public & Private
  /** Where rows share the label: the parameters, which {@link Asn1Form.owns} judges. */
  parameters?(content: DerReader): Parameters
}
