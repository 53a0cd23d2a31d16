import { createECDH, ECDH } from 'node:crypto'
import { bitString, count, octetString, oid, secretSequence, tagged } from '../../der.js'
import { type DerReader, tags } from '../../der-reader.js'
import { KeytoolError } from '../../error.js'
import { stripZeros } from '../../wire.js'
import type { EcPrivate, EcPublic } from '../ecdsa.js'
import type { Asn1Form, Parameters } from './form.js'

interface Curve {
  readonly bits: number
  /** Its name in SSH. */
  readonly ssh: string
  /** Its name in OpenSSL. */
  readonly openssl: string
  readonly oid: string
}

/** ECPrivateKey, RFC 5915 section 3. Its version is 1. */
interface EcPrivateKey {
  readonly d: Buffer
  /** `[0]`: the curve, where the file names it here. */
  readonly parameters: Parameters | undefined
  /** `[1]`: the public point, where the file holds it. */
  readonly point: Buffer | undefined
}

/** ECDSA on a named curve, RFC 5480 and RFC 5915. */
export function ecdsaAsn1(curve: Curve): Asn1Form<EcPublic, EcPrivate> {
  const size = Math.ceil(curve.bits / 8)
  const curveOid = oid(curve.oid)

  /** SEC 1 section 2.3.4; what is compressed is computed, as SSH has whole points only. */
  function readPoint(bytes: Buffer): EcPublic {
    const name = Buffer.from(curve.ssh)
    if (bytes[0] === 4 && bytes.length === 1 + 2 * size) return { curve: name, q: bytes }
    if ((bytes[0] !== 2 && bytes[0] !== 3) || bytes.length !== 1 + size) {
      throw new KeytoolError('damaged', `the public point is none of ${curve.ssh}`)
    }
    try {
      const q = ECDH.convertKey(bytes, curve.openssl, undefined, undefined, 'uncompressed')
      return { curve: name, q: Buffer.from(q as Buffer) }
    } catch (cause) {
      throw new KeytoolError('damaged', `the public point is not on ${curve.ssh}`, { cause })
    }
  }

  function derivePoint(d: Buffer): EcPublic {
    const ecdh = createECDH(curve.openssl)
    try {
      ecdh.setPrivateKey(d)
    } catch (cause) {
      throw new KeytoolError('damaged', `the private number is out of range for ${curve.ssh}`, { cause })
    }
    return { curve: Buffer.from(curve.ssh), q: ecdh.getPublicKey() }
  }

  function read(content: DerReader): EcPublic & EcPrivate {
    const start = content.offset
    const { d, parameters, point } = readEcPrivateKey(content)
    // RFC 5915 wants `size` bytes; PuTTY and others write it as a number, with a zero before a set top bit or without.
    const number = stripZeros(d)
    if (d.length > size + 1 || number.length > size) {
      throw new KeytoolError('damaged', `the private number has ${d.length} bytes instead of ${size}`, {
        offset: start,
      })
    }
    if (parameters && !parameters.equals(curveOid)) {
      throw new KeytoolError('damaged', 'an ECDSA key names two curves', { offset: start })
    }
    return { ...(point ? readPoint(point) : derivePoint(number)), d: number }
  }

  function write({ q, d }: EcPublic & EcPrivate, ...parameters: Buffer[]): Buffer {
    const padded = Buffer.concat([Buffer.alloc(size - d.length), d])
    try {
      return secretSequence(count(1), octetString(padded), ...parameters, tagged(1, bitString(q)))
    } finally {
      padded.fill(0)
    }
  }

  return {
    oid: '2a8648ce3d0201',
    parameters: () => curveOid,
    owns(parameters) {
      if (parameters[0] === tags.sequence) throw spelledOut()
      return parameters.equals(curveOid)
    },
    writePublic: ({ q }) => Buffer.from(q),
    readPublic: content => readPoint(content.rest()),
    // The curve stands beside the identifier already: OpenSSL does not repeat it.
    writePrivate: key => write(key),
    readPrivate: read,
    traditional: {
      label: 'EC PRIVATE KEY',
      write: key => write(key, tagged(0, curveOid)),
      read,
      parameters(content) {
        const { parameters } = readEcPrivateKey(content)
        if (parameters) return parameters
        throw new KeytoolError('unsupported', 'the file does not name the curve of its ECDSA key', {
          hint: 'PKCS#8 files always do: openssl pkcs8 -topk8 -in FILE',
        })
      },
    },
  }
}

function readEcPrivateKey(content: DerReader): EcPrivateKey {
  const start = content.offset
  const fields = content.sequence()
  if (fields.number() !== 1) {
    throw new KeytoolError('damaged', 'the version of the ECDSA key is not 1', { offset: start })
  }
  const d = fields.octetString()
  const parameters = fields.optional(tags.context0)?.rest()
  const holder = fields.optional(tags.context1)
  const point = holder?.bitString()
  holder?.end()
  fields.end()
  return { d, parameters, point }
}

/** SpecifiedECDomain, which RFC 5480 forbids: any curve can be made to look like another. */
function spelledOut(): KeytoolError {
  return new KeytoolError('unsupported', 'the key spells its curve out instead of naming it', {
    hint: 'openssl ec -in FILE -param_enc named_curve writes it with the name',
  })
}
