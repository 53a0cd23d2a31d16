import { createECDH } from 'node:crypto'
import { KeytoolError } from '../error.js'
import { type Field, mpint, struct } from '../fields.js'
import { Reader, Writer } from '../wire.js'
import type { Algorithm } from './algorithm.js'
import { ecdsaAsn1 } from './asn1/ecdsa.js'
import { privateObject, publicObject } from './asn1/objects.js'
import { both } from './both.js'
import { ecJwk } from './jwk/ec.js'
import { type SignatureForm, signByNode, verifyByNode } from './node-signing.js'

interface Curve {
  readonly bits: 256 | 384 | 521
  /** Its name in SSH, RFC 5656 section 10.1. */
  readonly ssh: string
  /** Its name in OpenSSL. */
  readonly openssl: string
  /** Its object identifier, encoded, in hex (RFC 5480 section 2.1.1.1). */
  readonly oid: string
  readonly hash: 'sha256' | 'sha384' | 'sha512'
}

export type EcPublic = { curve: Buffer; q: Buffer }
export type EcPrivate = { d: Buffer }

export const ecdsa256: Algorithm<EcPublic, EcPrivate> = onCurve({
  bits: 256,
  ssh: 'nistp256',
  openssl: 'prime256v1',
  oid: '2a8648ce3d030107',
  hash: 'sha256',
})
export const ecdsa384: Algorithm<EcPublic, EcPrivate> = onCurve({
  bits: 384,
  ssh: 'nistp384',
  openssl: 'secp384r1',
  oid: '2b81040022',
  hash: 'sha384',
})
export const ecdsa521: Algorithm<EcPublic, EcPrivate> = onCurve({
  bits: 521,
  ssh: 'nistp521',
  openssl: 'secp521r1',
  oid: '2b81040023',
  hash: 'sha512',
})

/** ECDSA on a NIST curve, RFC 5656 section 3. */
function onCurve(curve: Curve): Algorithm<EcPublic, EcPrivate> {
  const size = Math.ceil(curve.bits / 8)
  const curveName: Field<Buffer> = {
    read(r) {
      const start = r.offset
      const name = r.string(64)
      if (name.toString('latin1') !== curve.ssh) {
        throw new KeytoolError('damaged', 'an ECDSA key names another curve than its type', { offset: start })
      }
      return name
    },
    write: (w, v) => void w.string(v),
  }
  /** An uncompressed point (SEC 1 section 2.3.3); OpenSSH takes no other form. */
  const point: Field<Buffer> = {
    read(r) {
      const start = r.offset
      const q = r.string(256)
      if (q.length !== 1 + 2 * size || q[0] !== 4) {
        throw new KeytoolError('damaged', `the public point is not an uncompressed one of ${curve.ssh}`, {
          offset: start,
        })
      }
      return q
    },
    write: (w, v) => void w.string(v),
  }
  const publicFields = struct({ curve: curveName, q: point })
  const secretFields = struct({ d: mpint })
  const asn1 = ecdsaAsn1(curve)
  const form = signatureForm(size, curve.ssh)
  return {
    name: `ecdsa-sha2-${curve.ssh}`,
    type: `ecdsa-${curve.bits}`,
    label: 'ECDSA',
    publicFields,
    privateFields: both(publicFields, secretFields),
    secretFields,
    ppkFields: secretFields,
    asn1,
    jwk: ecJwk(curve),
    schemes: [{ name: `ecdsa-sha2-${curve.ssh}`, hash: curve.hash }],

    bits: () => curve.bits,
    checkPublic(key) {
      try {
        publicObject(asn1, key)
      } catch (cause) {
        throw new KeytoolError('damaged', `the public point is not on ${curve.ssh}`, { cause })
      }
    },
    verifier: key => verifyByNode(publicObject(asn1, key), form),
    checkPrivate({ q, d }) {
      const ecdh = createECDH(curve.openssl)
      try {
        ecdh.setPrivateKey(d)
      } catch (cause) {
        throw new KeytoolError('damaged', `the private number is out of range for ${curve.ssh}`, { cause })
      }
      if (!ecdh.getPublicKey().equals(q)) {
        throw new KeytoolError('damaged', 'the private key belongs to another public key')
      }
    },
    async generate() {
      const ecdh = createECDH(curve.openssl)
      const q = ecdh.generateKeys()
      return { curve: Buffer.from(curve.ssh), q, d: ecdh.getPrivateKey() }
    },
    signer: key => signByNode(privateObject(asn1, key), form),
    signsAlone: true,
  }
}

/** node gives and takes r and s side by side (IEEE P1363); SSH has them as two mpints, RFC 5656 section 3.1.2. */
function signatureForm(size: number, curve: string): SignatureForm {
  return {
    toSsh: raw => new Writer().mpint(raw.subarray(0, size)).mpint(raw.subarray(size)).done(),
    fromSsh(blob) {
      const reader = new Reader(blob)
      const halves = [reader.mpint(), reader.mpint()]
      reader.end()
      if (halves.some(half => half.length > size)) {
        throw new KeytoolError('damaged', `a signature is too long for ${curve}`)
      }
      return Buffer.concat(halves.flatMap(half => [Buffer.alloc(size - half.length), half]))
    },
  }
}
