import { type DerReader, dotted, tags } from '../../der-reader.js'
import { KeytoolError } from '../../error.js'
import type { Algorithm, Parts } from '../algorithm.js'
import { algorithms } from '../table.js'
import type { Asn1Form, Parameters, TraditionalForm } from './form.js'
import { encodeIdentifier } from './objects.js'

/** A row that the ASN.1 formats hold. */
export type Asn1Algorithm = Algorithm & { readonly asn1: Asn1Form }
/** A row that traditional PEM files hold, too. */
export type TraditionalAlgorithm = Algorithm & { readonly asn1: Asn1Form & { readonly traditional: TraditionalForm } }

/** AlgorithmIdentifier, RFC 5280 section 4.1.1.2, as it stands in a file. */
export interface Identifier {
  /** Encoded content in hex. */
  readonly oid: string
  readonly parameters: Parameters
}

/** Throws `damaged`. */
export function readIdentifier(from: DerReader): Identifier {
  const fields = from.sequence()
  const id = fields.oid()
  const parameters = fields.left > 0 ? fields.raw() : fields.rest()
  fields.end()
  return { oid: id, parameters }
}

/** AlgorithmIdentifier of a key. */
export function writeIdentifier({ asn1 }: Asn1Algorithm, parts: Parts): Buffer {
  return encodeIdentifier(asn1, parts)
}

/** The row that an identifier means. Throws `unsupported`. */
export function algorithmOf({ oid: id, parameters }: Identifier): Asn1Algorithm {
  const sharing = algorithms.filter(hasForm).filter(row => row.asn1.oid === id)
  const row = sharing.find(({ asn1 }) => asn1.owns(parameters))
  if (row) return row
  if (sharing.length === 0) throw new KeytoolError('unsupported', `keys of algorithm ${dotted(id)} are not supported`)
  const what = parameters[0] === tags.oid ? `the curve ${dotted(parameters.toString('hex', 2))}` : 'its parameters'
  throw new KeytoolError('unsupported', `a key of algorithm ${dotted(id)} is not supported with ${what}`)
}

/** The row with this name on the wire, if the ASN.1 formats hold it. */
export function formOf(name: string): Asn1Algorithm | undefined {
  return algorithms.filter(hasForm).find(row => row.name === name)
}

/** Rows whose traditional PEM files have this label. */
export function traditionalRows(label: string): TraditionalAlgorithm[] {
  return algorithms.filter(isTraditional).filter(({ asn1 }) => asn1.traditional.label === label)
}

/** Labels of the traditional PEM files. */
export function traditionalLabels(): string[] {
  return [...new Set(algorithms.filter(isTraditional).map(({ asn1 }) => asn1.traditional.label))]
}

function hasForm(row: Algorithm): row is Asn1Algorithm {
  return row.asn1 !== undefined
}

function isTraditional(row: Algorithm): row is TraditionalAlgorithm {
  return row.asn1?.traditional !== undefined
}
