import type { Parts } from '../../algorithms/algorithm.js'
import {
  type Asn1Algorithm,
  algorithmOf,
  formOf,
  type Identifier,
  readIdentifier,
  writeIdentifier,
} from '../../algorithms/asn1/identifier.js'
import { count, octetString, sequence } from '../../der.js'
import { DerReader, tags } from '../../der-reader.js'
import { KeytoolError } from '../../error.js'
import { type PrivateKey, PublicKey } from '../../key.js'
import { checkAttributes, commentOf, readAttributes, writeAttributes } from './attributes.js'

/** What a PrivateKeyInfo says. */
export interface PrivateKeyInfo {
  readonly row: Asn1Algorithm
  /** Views of the bytes that were read. */
  readonly parts: Parts
  /** With the comment. */
  readonly publicKey: PublicKey
}

/** PrivateKeyInfo and OneAsymmetricKey, RFC 5958 section 2. */
interface Head {
  /** 0 is version 1; 1 is version 2, which holds the public key. */
  readonly version: number
  readonly identifier: Identifier
  /** What follows. */
  readonly fields: DerReader
}

/** Throws `damaged` for what does not begin like a PrivateKeyInfo, or has another length. */
export function readHead(der: Buffer): Head {
  const content = new DerReader(der)
  const fields = content.sequence()
  content.end()
  const version = fields.number()
  if (version > 1) throw new KeytoolError('damaged', `a PKCS#8 file of version ${version + 1} is not known`)
  return { version, identifier: readIdentifier(fields), fields }
}

/**
 * Reads a whole PrivateKeyInfo. Everything in it that is said twice must agree.
 * @param encrypted whether it was: see {@link readAttributes}
 * @throws KeytoolError `damaged`, `unsupported`, `secret-wrong`
 */
export function readInfo(der: Buffer, encrypted: boolean): PrivateKeyInfo {
  const { version, identifier, fields } = readHead(der)
  const row = algorithmOf(identifier)
  const content = fields.nested(tags.octetString)
  const parts = row.asn1.readPrivate(content, identifier.parameters)
  content.end()
  const attributes = readAttributes(fields.optional(tags.context0), encrypted)
  const publicKey = PublicKey.fromParts(row, parts, commentOf(attributes))
  if (version === 1) checkPublic(fields, identifier, row, publicKey)
  fields.end()
  checkAttributes(attributes, publicKey)
  return { row, parts, publicKey }
}

/**
 * The caller wipes it. Throws `unsupported` for a type that has no such form, `usage` for a comment of several lines.
 * @param marked Whether the attributes are written. Where there is neither comment nor cipher nobody else writes any.
 */
export function writeInfo(key: PrivateKey, marked: boolean): Buffer {
  const row = formOf(key.algorithm.name)
  if (!row) throw new KeytoolError('unsupported', `PKCS#8 files can't hold ${key.algorithm.type} keys`)
  const content = row.asn1.writePrivate(key.parts)
  const secret = octetString(content)
  try {
    const attributes = marked ? [writeAttributes(key.publicKey)] : []
    return sequence(count(0), writeIdentifier(row, key.parts), secret, ...attributes)
  } finally {
    content.fill(0)
    secret.fill(0)
  }
}

/** The public key of version 2. Older versions of the ring library wrote its `[1]` as if it were EXPLICIT. */
function checkPublic(
  fields: DerReader,
  { parameters }: Identifier,
  { asn1, ...row }: Asn1Algorithm,
  key: PublicKey,
): void {
  const explicit = fields.optional(tags.context1)
  const bits = explicit ? explicit.bitString() : fields.bitString(tags.context1Primitive)
  explicit?.end()
  const content = new DerReader(bits)
  const claimed = PublicKey.fromParts(row, asn1.readPublic(content, parameters))
  content.end()
  if (!claimed.equals(key)) throw new KeytoolError('damaged', 'the private key belongs to another public key')
}
