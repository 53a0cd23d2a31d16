import { createPrivateKey, createPublicKey, generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { bitString, integer, octetString, oid, sequence } from '../der.js'
import { KeytoolError } from '../error.js'
import { type Field, struct } from '../fields.js'
import type { Reader, Writer } from '../wire.js'
import type { Algorithm } from './algorithm.js'

const SIZE = 32
/** id-Ed25519, RFC 8410 section 3. */
const ID = oid('2b6570')

type Public = { pk: Buffer }
type Private = { seed: Buffer }

/** A `string` of exactly 32 bytes. */
const bytes32: Field<Buffer> = {
  read: r => exactly(r, SIZE),
  write: (w, v) => void w.string(v),
}

/** OpenSSH's layout (PROTOCOL.agent, draft-miller-ssh-agent 3.2.3): the public key, then seed and public key again. */
const privateFields: Field<Public & Private> = {
  read(r: Reader) {
    const pk = exactly(r, SIZE)
    const start = r.offset
    const secret = exactly(r, 2 * SIZE)
    if (!secret.subarray(SIZE).equals(pk)) {
      throw new KeytoolError('damaged', 'the private key belongs to another public key', { offset: start })
    }
    return { pk, seed: secret.subarray(0, SIZE) }
  },
  write(w: Writer, { pk, seed }) {
    w.string(pk)
      .uint32(2 * SIZE)
      .bytes(seed)
      .bytes(pk)
  },
}

/** Ed25519, RFC 8709. */
export const ed25519: Algorithm<Public, Private> = {
  name: 'ssh-ed25519',
  type: 'ed25519',
  label: 'ED25519',
  publicFields: struct({ pk: bytes32 }),
  privateFields,
  ppkFields: struct({ seed: bytes32 }),
  schemes: [{ name: 'ssh-ed25519', hash: null }],

  bits: () => 256,
  checkPublic() {
    // Every 32 bytes are accepted by OpenSSH; a value that is no point simply never verifies.
  },
  checkPrivate(key) {
    // Built from the seed alone, so that what node derives can be compared with what the file says.
    const derived = createPublicKey(ed25519.privateObject(key)).export({ format: 'der', type: 'spki' })
    if (!derived.subarray(-SIZE).equals(key.pk)) {
      throw new KeytoolError('damaged', 'the private key belongs to another public key')
    }
  },
  async generate() {
    const { privateKey } = await promisify(generateKeyPair)('ed25519')
    const { d, x } = privateKey.export({ format: 'jwk' })
    return { pk: Buffer.from(String(x), 'base64url'), seed: Buffer.from(String(d), 'base64url') }
  },
  publicObject: ({ pk }) =>
    createPublicKey({ key: sequence(sequence(ID), bitString(pk)), format: 'der', type: 'spki' }),
  privateObject({ seed }) {
    const der = sequence(integer(Buffer.of(0)), sequence(ID), octetString(octetString(seed)))
    try {
      return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    } finally {
      der.fill(0)
    }
  },
}

function exactly(r: Reader, length: number): Buffer {
  const start = r.offset
  const value = r.string(2 * SIZE)
  if (value.length !== length) {
    throw new KeytoolError('damaged', `an Ed25519 field has ${value.length} bytes instead of ${length}`, {
      offset: start,
    })
  }
  return value
}
