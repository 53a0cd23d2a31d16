import { createHash } from 'node:crypto'
import { bmpString, octetString, oid, sequence, setOf, taggedSetOf } from '../../der.js'
import { type DerReader, dotted, tags } from '../../der-reader.js'
import { KeytoolError } from '../../error.js'
import type { PublicKey } from '../../key.js'
import { nonsense } from '../../protect/pbe-cbc.js'
import { checkComment } from '../comment.js'

/** friendlyName and localKeyID, RFC 2985 section 5.5: their encoded content in hex. */
const FRIENDLY_NAME = '2a864886f70d010914'
const LOCAL_KEY_ID = '2a864886f70d010915'
/** What others write beside them: Windows' provider and its key set, X.509's keyUsage. */
const others: ReadonlySet<string> = new Set(['2b0601040182371101', '2b0601040182371102', '551d0f'])
/** Of the digest in a localKeyID of ours, in bytes. Those of others are SHA-1's 20, or a text or number of Windows or Java. */
const DIGEST = 32
/** No file has more. */
const MAX_ATTRIBUTES = 16

/** What the attributes of a PrivateKeyInfo say. */
export interface Attributes {
  /** The friendlyName's content: UTF-16, big-endian. Empty where there is none. */
  readonly name: Buffer
  readonly keyId: Buffer | undefined
}

/**
 * The attributes of a key: the comment as friendlyName, and as localKeyID a digest of the public key and the comment.
 * PKCS#8's ciphers have no MAC, and of Ed25519, Ed448 and DSA any private part is a key: the digest is what shows that a
 * file was altered. (That a garbled identifier hides the digest is what {@link readAttributes} looks after.)
 */
export function writeAttributes(key: PublicKey): Buffer {
  const name = Buffer.from(checkComment(key.comment), 'utf16le').swap16()
  return taggedSetOf(
    0,
    ...(name.length > 0 ? [attribute(FRIENDLY_NAME, bmpString(name))] : []),
    attribute(LOCAL_KEY_ID, octetString(digestOf(key, name))),
  )
}

/**
 * Attributes, RFC 5958 section 2: none twice.
 * @param encrypted Unknown ones are passed over only where nothing is encrypted.
 * @throws KeytoolError `damaged`, `secret-wrong` for an unknown one
 */
export function readAttributes(set: DerReader | undefined, encrypted: boolean): Attributes {
  const values = new Map<string, DerReader>()
  while (set && set.left > 0) {
    const start = set.offset
    const fields = set.sequence()
    const id = fields.oid()
    const known = id === FRIENDLY_NAME || id === LOCAL_KEY_ID || others.has(id)
    if (!known && encrypted) throw nonsense(new Error(`the attribute ${dotted(id)} is not known`))
    if (values.has(id) || values.size === MAX_ATTRIBUTES) {
      throw new KeytoolError('damaged', `the attribute ${dotted(id)} is one too many (at byte ${start})`, {
        offset: start,
      })
    }
    values.set(id, fields.nested(tags.set))
    fields.end()
  }
  return {
    name: only(values.get(FRIENDLY_NAME), tags.bmpString) ?? Buffer.alloc(0),
    keyId: only(values.get(LOCAL_KEY_ID), tags.octetString),
  }
}

/** The comment. Throws `damaged`. */
export function commentOf({ name }: Attributes): string {
  try {
    return new TextDecoder('utf-16be', { fatal: true, ignoreBOM: true }).decode(name)
  } catch (cause) {
    throw new KeytoolError('damaged', 'the name in the key file is not UTF-16', { cause })
  }
}

/** Throws `damaged` when the digest is of another key or comment. A localKeyID that is no digest says nothing here. */
export function checkAttributes({ name, keyId }: Attributes, key: PublicKey): void {
  if (keyId?.length === DIGEST && !keyId.equals(digestOf(key, name))) {
    throw new KeytoolError('damaged', 'the key is not the one the file was written for', {
      reason: 'its localKeyID is of another key or comment: the file was altered',
    })
  }
}

/** SHA-256 of the public key blob, then the friendlyName. Without a comment that is the key's fingerprint. */
function digestOf(key: PublicKey, name: Buffer): Buffer {
  return createHash('sha256').update(key.blob).update(name).digest()
}

function attribute(id: string, value: Buffer): Buffer {
  return sequence(oid(id), setOf(value))
}

/** The one value of an attribute. */
function only(values: DerReader | undefined, tag: number): Buffer | undefined {
  const value = values?.element(tag)
  values?.end()
  return value
}
