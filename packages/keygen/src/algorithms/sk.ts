import { createHash } from 'node:crypto'
import { blob, byte, type Field, struct } from '../fields.js'
import { Reader, Writer } from '../wire.js'
import type { Algorithm, Parts, Verify } from './algorithm.js'
import { both } from './both.js'
import { type EcPublic, ecdsa256 } from './ecdsa.js'
import { type EdPublic, ed25519 } from './eddsa.js'

type Token = { application: Buffer }
export type SkPrivate = { flags: Buffer; handle: Buffer; reserved: Buffer }

/** What the token signs beside the message: a byte of flags, a uint32 counter (PROTOCOL.u2f). In bytes. */
const TAIL = 5

/** One byte, kept as bytes like all parts. */
const oneByte: Field<Buffer> = {
  read: r => Buffer.of(byte.read(r)),
  write: (w, v) => void w.bytes(v),
}

/** Ed25519 in a FIDO token, OpenSSH's PROTOCOL.u2f. */
export const skEd25519: Algorithm<EdPublic & Token, SkPrivate> = inToken(ed25519, {
  name: 'sk-ssh-ed25519@openssh.com',
  type: 'ed25519-sk',
  label: 'ED25519-SK',
  hash: null,
})

/** ECDSA on nistp256 in a FIDO token, OpenSSH's PROTOCOL.u2f. */
export const skEcdsa: Algorithm<EcPublic & Token, SkPrivate> = inToken(ecdsa256, {
  name: 'sk-ecdsa-sha2-nistp256@openssh.com',
  type: 'ecdsa-sk',
  label: 'ECDSA-SK',
  hash: 'sha256',
})

interface Naming {
  readonly name: string
  readonly type: string
  readonly label: string
  readonly hash: 'sha256' | null
}

/**
 * The same key as `plain`, but its secret is in a token: the file holds the handle that makes the token find it. What is
 * there of a private half can't be proved to belong to the public one; only the token knows.
 */
function inToken<P extends Parts>(
  plain: Algorithm<P>,
  { name, type, label, hash }: Naming,
): Algorithm<P & Token, SkPrivate> {
  const token = struct({ application: blob })
  const publicFields = both(plain.publicFields, token)
  return {
    name,
    type,
    label,
    publicFields,
    privateFields: both(publicFields, struct({ flags: oneByte, handle: blob, reserved: blob })),
    schemes: [{ name, hash, tail: TAIL }],
    bits: key => plain.bits(key),
    checkPublic: key => plain.checkPublic(key),
    checkPrivate() {},
    verifier: key => verifyToken(key, plain.verifier(key)),
  }
}

/** The token signs digests of application and message, with its flags and counter between them. */
function verifyToken({ application }: Token, verify: Verify): Verify {
  return (scheme, data, signature) => {
    const reader = new Reader(signature)
    const inner = reader.string()
    const flagsAndCounter = reader.bytes(TAIL)
    reader.end()
    const message = new Writer().bytes(sha256(application)).bytes(flagsAndCounter).bytes(sha256(data)).done()
    return verify(scheme, message, inner)
  }
}

function sha256(data: Uint8Array): Buffer {
  return createHash('sha256').update(data).digest()
}
