import { DerReader, tags } from '../../der-reader.js'
import { damagedAt, KeytoolError } from '../../error.js'
import type { PublicKey } from '../../key.js'
import type { PublicFormat } from '../format.js'
import { hasPem, labelsOf, readPem } from '../pem/armor.js'
import { readSpki } from '../pem/public.js'
import { readCommonName } from './name.js'

const LABEL = 'CERTIFICATE'
/** Of one certificate in DER, and of a file with a chain of them. In bytes. */
const MAX = { certificate: 64 * 1024, file: 1 << 20 }
/** `[0]`, the version, which old certificates leave out. */
const VERSION = 0xa0

/**
 * The keys of X.509 certificates (RFC 5280), PEM or DER. The comment is the subject's common name. Only the key is of
 * interest: nothing is said about the certificate's own signature, dates or extensions, whatever they are.
 */
export const x509: PublicFormat = {
  name: 'x509',
  title: 'X.509 certificate',
  detect: bytes => looksLikeDer(bytes) || hasPem(bytes, [LABEL]),
  read: async bytes => (looksLikeDer(bytes) ? [readDer(bytes)] : readChain(bytes).map(readDer)),
}

/** Certificate, RFC 5280 section 4.1. Throws `damaged` or `unsupported`. */
function readDer(der: Buffer): PublicKey {
  if (der.length > MAX.certificate) throw damagedAt('a certificate is too large to be one', 0)
  const outer = new DerReader(der)
  const certificate = outer.sequence()
  outer.end()
  const signed = certificate.sequence()
  certificate.sequence()
  certificate.bitString()
  certificate.end()
  if (signed.peek() === VERSION) signed.raw()
  signed.element(tags.integer)
  // Signature's algorithm, issuer, validity.
  for (let i = 0; i < 3; i++) signed.sequence()
  const name = readCommonName(signed.sequence())
  const key = readSpki(signed)
  // Extensions.
  while (signed.left > 0) signed.raw()
  return key.withComment(name)
}

/** Certificate and what is signed of it are SEQUENCEs; a version or a serial number follows. No other DER file begins so. */
function looksLikeDer(bytes: Buffer): boolean {
  const second = skipSequenceHeader(bytes, 0)
  const third = second === undefined ? undefined : skipSequenceHeader(bytes, second)
  if (third === undefined) return false
  return bytes[third] === VERSION || bytes[third] === tags.integer
}

function skipSequenceHeader(bytes: Buffer, at: number): number | undefined {
  const [tag, length] = [bytes[at], bytes[at + 1]]
  if (tag !== tags.sequence || length === undefined) return undefined
  return at + 2 + (length < 0x80 ? 0 : length - 0x80)
}

/** The blocks of a PEM file; text around them is allowed (RFC 7468 section 2). Other blocks are not: one may be a key. */
function readChain(bytes: Buffer): Buffer[] {
  if (bytes.length > MAX.file) throw damagedAt('the file is too large to hold certificates', MAX.file)
  for (const { label, start } of labelsOf(bytes)) {
    if (label !== LABEL) throw damagedAt('another block stands where a certificate should be', start)
  }
  return readPem(bytes, [LABEL]).map(({ headers, body }) => {
    if (headers.length > 0) throw new KeytoolError('damaged', 'a certificate has no header lines')
    return body
  })
}
