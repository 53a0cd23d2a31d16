import { createECDH, createPrivateKey, createPublicKey } from 'node:crypto'
import { bitString, integer, octetString, oid, sequence, tagged } from '../der.js'
import { KeytoolError } from '../error.js'
import { type Field, mpint, struct } from '../fields.js'
import { Reader, Writer } from '../wire.js'
import type { Algorithm } from './algorithm.js'

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

type Public = { curve: Buffer; q: Buffer }
type Private = { d: Buffer }

/** id-ecPublicKey, RFC 5480 section 2.1.1. */
const EC_PUBLIC_KEY = oid('2a8648ce3d0201')

export const ecdsa256: Algorithm<Public, Private> = onCurve({
  bits: 256,
  ssh: 'nistp256',
  openssl: 'prime256v1',
  oid: '2a8648ce3d030107',
  hash: 'sha256',
})
export const ecdsa384: Algorithm<Public, Private> = onCurve({
  bits: 384,
  ssh: 'nistp384',
  openssl: 'secp384r1',
  oid: '2b81040022',
  hash: 'sha384',
})
export const ecdsa521: Algorithm<Public, Private> = onCurve({
  bits: 521,
  ssh: 'nistp521',
  openssl: 'secp521r1',
  oid: '2b81040023',
  hash: 'sha512',
})

/** ECDSA on a NIST curve, RFC 5656 section 3. */
function onCurve(curve: Curve): Algorithm<Public, Private> {
  const size = Math.ceil(curve.bits / 8)
  const curveOid = oid(curve.oid)
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
  const row: Algorithm<Public, Private> = {
    name: `ecdsa-sha2-${curve.ssh}`,
    type: `ecdsa-${curve.bits}`,
    label: 'ECDSA',
    publicFields: struct({ curve: curveName, q: point }),
    privateFields: struct({ curve: curveName, q: point, d: mpint }),
    ppkFields: struct({ d: mpint }),
    schemes: [{ name: `ecdsa-sha2-${curve.ssh}`, hash: curve.hash }],

    bits: () => curve.bits,
    checkPublic(key) {
      try {
        row.publicObject(key)
      } catch (cause) {
        throw new KeytoolError('damaged', `the public point is not on ${curve.ssh}`, { cause })
      }
    },
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
    publicObject: ({ q }) =>
      createPublicKey({
        key: sequence(sequence(EC_PUBLIC_KEY, curveOid), bitString(q)),
        format: 'der',
        type: 'spki',
      }),
    privateObject({ q, d }) {
      const padded = Buffer.concat([Buffer.alloc(size - d.length), d])
      const der = sequence(integer(Buffer.of(1)), octetString(padded), tagged(0, curveOid), tagged(1, bitString(q)))
      try {
        return createPrivateKey({ key: der, format: 'der', type: 'sec1' })
      } finally {
        der.fill(0)
        padded.fill(0)
      }
    },
    // node gives and takes r and s side by side (IEEE P1363); SSH has them as two mpints, RFC 5656 section 3.1.2.
    signatureForm: {
      toSsh: raw => new Writer().mpint(raw.subarray(0, size)).mpint(raw.subarray(size)).done(),
      fromSsh(blob) {
        const reader = new Reader(blob)
        const halves = [reader.mpint(), reader.mpint()]
        reader.end()
        if (halves.some(half => half.length > size)) {
          throw new KeytoolError('damaged', `a signature is too long for ${curve.ssh}`)
        }
        return Buffer.concat(halves.flatMap(half => [Buffer.alloc(size - half.length), half]))
      },
    },
  }
  return row
}
