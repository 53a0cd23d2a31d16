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

/**
 * Signs by node:crypto: at once, or where the caller wants it in node's threadpool. For the quick types a hop there costs
 * half a signature, and pays where several are waiting.
 */
export function signByNode(key: KeyObject, form: SignatureForm = sameForm): Sign {
  const options = { key, dsaEncoding } as const
  const inThread = signInThread(key, form)
  return (scheme, data, hops) => {
    if (hops) return inThread(scheme, data)
    return form.toSsh(cryptoSign(scheme.hash, data, options))
  }
}

/** Signs in node's threadpool, so that the event loop goes on. */
export function signInThread(key: KeyObject, form: SignatureForm = sameForm): Sign {
  const options = { key, dsaEncoding } as const
  return (scheme, data) =>
    new Promise((resolve, reject) => {
      cryptoSign(scheme.hash, data, options, (error, signature) => {
        if (error) reject(error)
        else resolve(form.toSsh(signature))
      })
    })
}
