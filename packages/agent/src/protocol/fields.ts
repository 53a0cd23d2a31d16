import {
  type Algorithm,
  algorithmNamed,
  decodeSignature,
  encodeSignature,
  type Field,
  KeytoolError,
  type Parts,
  type Signature,
} from '@keytool/keygen'

/** A private key as it travels: the type's row and all its parts. */
export interface KeyParts {
  readonly algorithm: Algorithm
  readonly parts: Parts
}

/** The longest name of a key type or a signature scheme, in bytes. */
const MAX_NAME = 256

/** A type's name, then its own fields (RFC 9987 section 5.2). `unsupported` for a type that is not in the table. */
export const keyParts: Field<KeyParts> = {
  read(r) {
    const algorithm = algorithmNamed(r.text(MAX_NAME))
    return { algorithm, parts: algorithm.privateFields.read(r) }
  },
  write(w, { algorithm, parts }) {
    algorithm.privateFields.write(w.text(algorithm.name), parts)
  },
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
