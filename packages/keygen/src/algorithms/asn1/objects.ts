import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { bitString, count, octetString, oid, secretSequence, sequence } from '../../der.js'
import type { Parts } from '../algorithm.js'
import type { Asn1Form } from './form.js'

/** AlgorithmIdentifier of a key, RFC 5280 section 4.1.1.2. */
export function encodeIdentifier<P extends Parts>(form: Pick<Asn1Form<P>, 'oid' | 'parameters'>, key: P): Buffer {
  return sequence(oid(form.oid), form.parameters(key))
}

/** The key as node:crypto verifies with it: handed over as a SubjectPublicKeyInfo. Throws for a point off its curve. */
export function publicObject<P extends Parts, S extends Parts>(form: Asn1Form<P, S>, key: P): KeyObject {
  const der = sequence(encodeIdentifier(form, key), bitString(form.writePublic(key)))
  return createPublicKey({ key: der, format: 'der', type: 'spki' })
}

/** The key as node:crypto signs with it: handed over as a PrivateKeyInfo, which is wiped. */
export function privateObject<P extends Parts, S extends Parts>(form: Asn1Form<P, S>, key: P & S): KeyObject {
  const content = form.writePrivate(key)
  const der = secretSequence(count(0), encodeIdentifier(form, key), octetString(content))
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  } finally {
    content.fill(0)
    der.fill(0)
  }
}
