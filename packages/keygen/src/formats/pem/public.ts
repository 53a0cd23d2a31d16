import { type Asn1Algorithm, algorithmOf, readIdentifier } from '../../algorithms/asn1/identifier.js'
import { rsaAsn1 } from '../../algorithms/asn1/rsa.js'
import { DerReader } from '../../der-reader.js'
import { KeytoolError } from '../../error.js'
import { PublicKey } from '../../key.js'
import { type PemBlock, readPem } from './armor.js'

const readers: ReadonlyMap<string, (content: DerReader) => PublicKey> = new Map([
  ['PUBLIC KEY', readSpki],
  ['RSA PUBLIC KEY', readPkcs1],
])

/** Every public key of a file, in either of the two layouts. Throws `damaged` or `unsupported`. */
export function readPublicPem(bytes: Buffer): PublicKey[] {
  return readPem(bytes, [...readers.keys()]).map(readKey)
}

/** The row of RSA, whose BIT STRING alone is a format, too. */
export function rsaRow(): Asn1Algorithm {
  return algorithmOf({ oid: rsaAsn1.oid, parameters: Buffer.alloc(0) })
}

function readKey({ label, headers, body }: PemBlock): PublicKey {
  const read = readers.get(label)
  if (!read || headers.length > 0) throw new KeytoolError('damaged', 'a public key has no header lines')
  const content = new DerReader(body)
  const key = read(content)
  content.end()
  return key
}

/** SubjectPublicKeyInfo, RFC 5280 section 4.1.2.7: the next element. Throws `damaged` or `unsupported`. */
export function readSpki(content: DerReader): PublicKey {
  const fields = content.sequence()
  const identifier = readIdentifier(fields)
  const row = algorithmOf(identifier)
  const bits = new DerReader(fields.bitString())
  fields.end()
  const parts = row.asn1.readPublic(bits, identifier.parameters)
  bits.end()
  return PublicKey.fromParts(row, parts)
}

/** RSAPublicKey, RFC 8017 appendix A.1.1. */
function readPkcs1(content: DerReader): PublicKey {
  const row = rsaRow()
  return PublicKey.fromParts(row, row.asn1.readPublic(content, Buffer.alloc(0)))
}
