import { KeytoolError } from '../error.js'
import { mpint, struct } from '../fields.js'
import { modPow, toBigInt } from '../number.js'
import { bitLength } from '../wire.js'
import type { Algorithm } from './algorithm.js'
import { dsaAsn1 } from './asn1/dsa.js'
import { privateObject, publicObject } from './asn1/objects.js'
import { both } from './both.js'
import { signByNode, verifyByNode } from './node-signing.js'

export type DsaPublic = { p: Buffer; q: Buffer; g: Buffer; y: Buffer }
export type DsaPrivate = { x: Buffer }

/**
 * SSH signs with SHA-1, so q has its 160 bits (RFC 4253 section 6.6). PuTTY and OpenSSH allow any length of p; here what is
 * longer than any use asks for is refused, since a check stops the event loop for a time that grows with its cube.
 */
const SIZES = { min: 512, max: 4096, q: 160 }
/** Of each half of a signature, in bytes. */
const HALF = SIZES.q / 8

const publicFields = struct({ p: mpint, q: mpint, g: mpint, y: mpint })
const secretFields = struct({ x: mpint })

/** DSA, RFC 4253 section 6.6: for reading what is old. Never generated; OpenSSH 10 does not know it any more. */
export const dsa: Algorithm<DsaPublic, DsaPrivate> = {
  name: 'ssh-dss',
  type: 'dsa',
  label: 'DSA',
  publicFields,
  privateFields: both(publicFields, secretFields),
  secretFields,
  ppkFields: secretFields,
  asn1: dsaAsn1,
  schemes: [{ name: 'ssh-dss', hash: 'sha1' }],

  bits: ({ p }) => bitLength(p),
  checkPublic(key) {
    // Sizes before any arithmetic: what follows takes time that grows with them.
    const size = bitLength(key.p)
    if (size < SIZES.min || size > SIZES.max) {
      throw new KeytoolError('unsupported', `a DSA key of ${size} bits is outside ${SIZES.min} to ${SIZES.max}`)
    }
    if (bitLength(key.q) !== SIZES.q) {
      throw new KeytoolError('unsupported', `a DSA key whose q has ${bitLength(key.q)} bits; SSH signs with 160 only`)
    }
    const [p, q, g, y] = [key.p, key.q, key.g, key.y].map(toBigInt) as [bigint, bigint, bigint, bigint]
    if (p % 2n === 0n || q % 2n === 0n || (p - 1n) % q !== 0n) throw contradiction('q does not divide p - 1')
    if (g <= 1n || g >= p || y <= 1n || y >= p) throw contradiction('g or y is out of range')
    if (modPow(g, q, p) !== 1n) throw contradiction('g does not generate a group of q elements')
    if (modPow(y, q, p) !== 1n) throw contradiction('y is not in the group of g')
  },
  verifier: key => verifyByNode(publicObject(dsaAsn1, key), form),
  checkPrivate(key) {
    const [p, q, g, y, x] = [key.p, key.q, key.g, key.y, key.x].map(toBigInt) as Five
    if (x <= 0n || x >= q) throw contradiction('x is out of range')
    if (modPow(g, x, p) !== y) throw new KeytoolError('damaged', 'the private key belongs to another public key')
  },
  signer: key => signByNode(privateObject(dsaAsn1, key), form),
  signsAlone: true,
}

type Five = [bigint, bigint, bigint, bigint, bigint]

/** RFC 4253 section 6.6: r and s side by side, 160 bits each: node's form, too, as q has that size. */
const form = {
  toSsh: (raw: Buffer) => raw,
  fromSsh(blob: Buffer) {
    if (blob.length !== 2 * HALF) {
      throw new KeytoolError('damaged', `a DSA signature has ${blob.length} bytes instead of ${2 * HALF}`)
    }
    return blob
  },
}

function contradiction(what: string): KeytoolError {
  return new KeytoolError('damaged', `the DSA key contradicts itself: ${what}`)
}
