import {
  type Algorithm,
  algorithmNamed,
  decodeSignature,
  encodeSignature,
  type Field,
  KeytoolError,
  type Parts,
  PublicKey,
  publicAlgorithmNamed,
  Reader,
  type Signature,
  Writer,
} from '@keytool/keygen'

/** A private key as it travels: the type's row and all its parts. */
export interface KeyParts {
  readonly algorithm: Algorithm
  readonly parts: Parts
  /** The certificate under which it is to be held. Its public parts are the key's; that the private ones fit is not proved. */
  readonly certificate?: PublicKey
}

/** The longest name of a key type, a signature scheme, a constraint or an extension, in bytes. */
export const MAX_NAME = 256

/**
 * A type's name, then its own fields (RFC 9987 section 5.2). As in OpenSSH the name may be that of certificates: then a
 * certificate follows, and only what it does not have of the key.
 *
 * `unsupported` for a type that is not in the table, and for a certificate of a key whose secret is in a device.
 */
export const keyParts: Field<KeyParts> = {
  read(r) {
    const name = r.text(MAX_NAME)
    const { certifies } = publicAlgorithmNamed(name)
    if (certifies) return readCertified(r, name, certifies)
    const algorithm = algorithmNamed(name)
    return { algorithm, parts: algorithm.privateFields.read(r) }
  },
  write(w, { algorithm, parts, certificate }) {
    if (!certificate) return algorithm.privateFields.write(w.text(algorithm.name), parts)
    secretFieldsOf(algorithm).write(w.text(certificate.algorithm.name).string(certificate.blob), parts)
  },
}

function readCertified(r: Reader, name: string, algorithm: Algorithm): KeyParts {
  const secretFields = secretFieldsOf(algorithm)
  const start = r.offset
  const certificate = PublicKey.fromBlob(r.string())
  if (certificate.algorithm.name !== name) {
    throw new KeytoolError('damaged', 'the certificate is of another type than its key', { offset: start })
  }
  const parts = publicPartsOf(certificate, algorithm)
  const secret = secretFields.read(r)
  // Ed25519's public key comes twice.
  if (Object.entries(secret).some(([part, value]) => parts[part] && !parts[part].equals(value))) {
    throw new KeytoolError('damaged', 'the certificate is that of another key', { offset: start })
  }
  return { algorithm, parts: { ...parts, ...secret }, certificate }
}

/** Those of the key it certifies, which {@link PublicKey.plain} would check once more: milliseconds with DSA. */
function publicPartsOf(certificate: PublicKey, { publicFields }: Algorithm): Parts {
  const writer = new Writer()
  publicFields.write(writer, certificate.parts)
  return publicFields.read(new Reader(writer.done()))
}

function secretFieldsOf({ type, secretFields }: Algorithm): Field<Parts> {
  if (secretFields) return secretFields
  throw new KeytoolError('unsupported', `${type} keys need their device, which this agent does not speak to`)
}

/** The flags of a sign request. PuTTY's agent takes a request that ends without them, and its own tests ask for that. */
export const signFlags: Field<number> = {
  read: r => (r.left === 0 ? 0 : r.uint32()),
  write: (w, value) => void w.uint32(value),
}

/** A signature in a string of its own (RFC 4253 section 6.6). */
export const signature: Field<Signature> = {
  read: r => decodeSignature(r.string()),
  write: (w, value) => void w.string(encodeSignature(value)),
}

/**
 * A key's comment. Old tools wrote it in any charset, so what is not UTF-8 is replaced rather than refused. A zero byte
 * is refused: OpenSSH's clients give up on a whole list in which one comment has one.
 */
export const comment: Field<string> = {
  read(r) {
    const start = r.offset
    const bytes = r.string()
    if (bytes.includes(0)) throw new KeytoolError('damaged', 'a comment has a zero byte', { offset: start })
    return bytes.toString('utf8')
  },
  write: (w, value) => void w.text(value),
}

/** A `string` that holds exactly one value of another field. */
export function inString<T>(field: Field<T>): Field<T> {
  return {
    read(r) {
      const inner = r.nested()
      const value = field.read(inner)
      inner.end()
      return value
    },
    write(w, value) {
      const inner = new Writer()
      field.write(inner, value)
      w.string(inner.done())
    },
  }
}

/** The same field again and again until the end, at most `cap` times. Only good as the last field. */
export function untilEnd<T>(field: Field<T>, cap: number): Field<readonly T[]> {
  return {
    read(r) {
      const values: T[] = []
      while (r.left > 0) {
        if (values.length === cap) {
          throw new KeytoolError('damaged', `there are more than the ${cap} allowed`, { offset: r.offset })
        }
        values.push(field.read(r))
      }
      return values
    },
    write(w, values) {
      for (const value of values) field.write(w, value)
    },
  }
}
