import { createPublicKey } from 'node:crypto'
import { octetString } from '../../der.js'
import type { DerReader } from '../../der-reader.js'
import { damagedAt } from '../../error.js'
import type { EdPrivate, EdPublic } from '../eddsa.js'
import type { Asn1Form } from './form.js'
import { privateObject } from './objects.js'

interface Curve {
  /** How errors name it. */
  readonly title: string
  /** Of the public key and of the seed, in bytes. */
  readonly size: number
  readonly oid: string
}

/** Ed25519 and Ed448, RFC 8410: the bare public key; the seed in an OCTET STRING of its own (CurvePrivateKey). */
export function eddsaAsn1(curve: Curve): Asn1Form<EdPublic, EdPrivate> {
  const exactly = (value: Buffer, offset: number): Buffer => {
    if (value.length === curve.size) return value
    throw damagedAt(`an ${curve.title} key has ${value.length} bytes instead of ${curve.size}`, offset)
  }
  const readSeed = (content: DerReader): Buffer => {
    const start = content.offset
    return exactly(content.octetString(), start)
  }
  const form: Asn1Form<EdPublic, EdPrivate> = {
    oid: curve.oid,
    parameters: () => Buffer.alloc(0),
    owns: parameters => parameters.length === 0,
    writePublic: ({ pk }) => Buffer.from(pk),
    readPublic(content) {
      const start = content.offset
      return { pk: exactly(content.rest(), start) }
    },
    writePrivate: ({ seed }) => octetString(seed),
    readPrivate(content) {
      const seed = readSeed(content)
      return { pk: derive(form, seed, curve.size), seed }
    },
  }
  return form
}

/** The public key of a seed, RFC 8032 sections 5.1.5 and 5.2.5. */
function derive(form: Asn1Form<EdPublic, EdPrivate>, seed: Buffer, size: number): Buffer {
  const key = createPublicKey(privateObject(form, { pk: Buffer.alloc(0), seed }))
  return key.export({ format: 'der', type: 'spki' }).subarray(-size)
}
