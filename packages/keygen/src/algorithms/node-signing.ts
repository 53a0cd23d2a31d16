import { sign as cryptoSign, verify as cryptoVerify, type KeyObject } from 'node:crypto'
import type { Sign, Verify } from './algorithm.js'

/** Where node's form of a raw signature is not SSH's (RFC 5656 section 3.1.2): the translations. */
export interface SignatureForm {
  toSsh(raw: Buffer): Buffer
  fromSsh(blob: Buffer): Buffer
}

const sameForm: SignatureForm = { toSsh: raw => raw, fromSsh: blob => blob }

/** node gives and takes r and s side by side, which is nearer to SSH than DER is. */
const dsaEncoding = 'ieee-p1363'

/** Verifies by node:crypto. */
export function verifyByNode(key: KeyObject, form: SignatureForm = sameForm): Verify {
  return (scheme, data, blob) => cryptoVerify(scheme.hash, data, { key, dsaEncoding }, form.fromSsh(blob))
}

/** Signs by node:crypto, at once: for the quick types a hop to the threadpool costs more than the signature. */
export function signByNode(key: KeyObject, form: SignatureForm = sameForm): Sign {
  return (scheme, data) => form.toSsh(cryptoSign(scheme.hash, data, { key, dsaEncoding }))
}

/** Signs in node's threadpool, so that the event loop goes on. */
export function signInThread(key: KeyObject): Sign {
  return (scheme, data) =>
    new Promise((resolve, reject) => {
      cryptoSign(scheme.hash, data, { key }, (error, signature) => (error ? reject(error) : resolve(signature)))
    })
}
