import { createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { damagedAt, KeytoolError } from '../error.js'
import { type Field, struct } from '../fields.js'
import type { Algorithm } from './algorithm.js'
import { eddsaAsn1 } from './asn1/eddsa.js'
import { privateObject, publicObject } from './asn1/objects.js'
import { okpJwk } from './jwk/okp.js'
import { signByNode, verifyByNode } from './node-signing.js'

interface Curve {
  readonly name: string
  readonly type: 'ed25519' | 'ed448'
  /** How errors name it. */
  readonly title: string
  readonly bits: number
  /** Of the public key and of the seed, in bytes (RFC 8032 sections 5.1.5 and 5.2.5). */
  readonly size: number
  /** Its object identifier, encoded, in hex (RFC 8410 section 3). */
  readonly oid: string
}

const makeKeyPair = promisify(generateKeyPair)

export type EdPublic = { pk: Buffer }
export type EdPrivate = { seed: Buffer }

type EdAlgorithm = Algorithm<EdPublic, EdPrivate> &
  Required<Pick<Algorithm<EdPublic, EdPrivate>, 'generate' | 'signer'>>

/** Ed25519, RFC 8709. */
export const ed25519: EdAlgorithm = onCurve({
  name: 'ssh-ed25519',
  type: 'ed25519',
  title: 'Ed25519',
  bits: 256,
  size: 32,
  oid: '2b6570',
})

/** Ed448, RFC 8709. PuTTY has it; OpenSSH does not. */
export const ed448: EdAlgorithm = onCurve({
  name: 'ssh-ed448',
  type: 'ed448',
  title: 'Ed448',
  bits: 448,
  size: 57,
  oid: '2b6571',
})

function onCurve({ name, type, title, bits, size, oid: id }: Curve): EdAlgorithm {
  const element: Field<Buffer> = {
    read: r => {
      const start = r.offset
      return exactly(r.string(1024), size, start)
    },
    write: (w, v) => void w.string(v),
  }
  /** PuTTY before 0.75 left out the zeros a seed ended with, and reads such files to this day. */
  const unpadded: Field<Buffer> = {
    read: r => Buffer.concat([r.string(size)], size),
    write: (w, v) => void w.string(v),
  }
  /** OpenSSH's layout (RFC 9987 section 3.2.3): the public key, then seed and public key again. */
  const privateFields: Field<EdPublic & EdPrivate> = {
    read(r) {
      const pk = element.read(r)
      const start = r.offset
      const secret = exactly(r.string(1024), 2 * size, start)
      if (!secret.subarray(size).equals(pk)) throw foreign(start)
      return { pk, seed: secret.subarray(0, size) }
    },
    write(w, { pk, seed }) {
      w.string(pk)
        .uint32(2 * size)
        .bytes(seed)
        .bytes(pk)
    },
  }
  const asn1 = eddsaAsn1({ title, size, oid: id })
  // By way of JWK, which is thirty times as quick as DER here; the public half is no secret.
  const derive = (key: KeyObject): Buffer =>
    Buffer.from(String(createPublicKey(key).export({ format: 'jwk' }).x), 'base64url')

  function exactly(value: Buffer, length: number, offset: number): Buffer {
    if (value.length === length) return value
    throw damagedAt(`an ${title} field has ${value.length} bytes instead of ${length}`, offset)
  }

  return {
    name,
    type,
    label: title.toUpperCase(),
    publicFields: struct({ pk: element }),
    privateFields,
    // Nothing is left out beside a certificate: the public key is there all the same.
    secretFields: privateFields,
    ppkFields: struct({ seed: unpadded }),
    asn1,
    jwk: okpJwk(title, size),
    schemes: [{ name, hash: null }],

    bits: () => bits,
    checkPublic() {
      // Any bytes of the right length are accepted by OpenSSH, too; a value that is no point simply never verifies.
    },
    verifier: key => verifyByNode(publicObject(asn1, key)),
    checkPrivate(key) {
      // Only the seed is handed over, so that what node derives can be compared with what the file says.
      if (!derive(privateObject(asn1, key)).equals(key.pk)) throw foreign()
    },
    async generate() {
      const { privateKey } = await makeKeyPair(type as 'ed25519')
      const der = privateKey.export({ format: 'der', type: 'pkcs8' })
      const seed = Buffer.from(der.subarray(-size))
      der.fill(0)
      return { pk: derive(privateKey), seed }
    },
    signer: key => signByNode(privateObject(asn1, key)),
    signsAlone: true,
  }
}

function foreign(offset?: number): KeytoolError {
  const details = offset === undefined ? {} : { offset }
  return new KeytoolError('damaged', 'the private key belongs to another public key', details)
}
