import { createHash, randomFillSync } from 'node:crypto'
import type { ml_dsa44 } from '@noble/post-quantum/ml-dsa.js'
import { damagedAt, KeytoolError } from '../error.js'
import { type Field, struct } from '../fields.js'
import type { Algorithm } from './algorithm.js'
import { both } from './both.js'
import { ed25519 } from './eddsa.js'

const NAME = 'ssh-mldsa44-ed25519'
/** Bytes of ML-DSA-44's half (FIPS 204 section 4, tables 1 and 2; the seed is section 6.1's), which always comes first. */
const MLDSA = { public: 1312, seed: 32, signature: 2420 }
/** Bytes of Ed25519's half, RFC 8032 section 5.1. */
const ED25519 = { public: 32, seed: 32, signature: 64 }

/** What both halves sign begins with these two (draft-ietf-lamps-pq-composite-sigs); ML-DSA has the label as context, too. */
const PREFIX = Buffer.from('CompositeAlgorithmSignatures2025')
const LABEL = Buffer.from('COMPSIG-MLDSA44-Ed25519-SHA512')

/** `pk` is ML-DSA's public key, then Ed25519's. */
type Public = { pk: Buffer }
/** `seeds` is ML-DSA's seed (FIPS 204's xi), then Ed25519's. The expanded private keys are in no file. */
type Private = { seeds: Buffer }

const publicFields = struct({ pk: exactly(MLDSA.public + ED25519.public) })
const secretFields = struct({ seeds: exactly(MLDSA.seed + ED25519.seed) })

/**
 * ML-DSA-44 and Ed25519 in one key: a signature holds when both halves do (draft-miller-sshm-mldsa44-ed25519-composite-sigs).
 *
 * OpenSSH 10.6 and later. 10.4 and 10.5 tried the same layout under `ssh-mldsa44-ed25519@openssh.com`; 10.6 no longer
 * reads those keys, and neither does this row. There is no PEM, PKCS#8, PPK or SSHFP form of them.
 */
export const mldsa44Ed25519: Algorithm<Public, Private> = {
  name: NAME,
  type: 'mldsa44-ed25519',
  label: 'MLDSA44-ED25519',
  certificateName: `${NAME}-cert`,
  publicFields,
  privateFields: both(publicFields, secretFields),
  secretFields,
  schemes: [{ name: NAME, hash: null }],

  bits: () => 512,
  checkPublic() {
    // Any bytes of the right length decode to a key in both halves (FIPS 204 algorithm 23, and see Ed25519).
  },
  verifier(key) {
    const { mldsa, ed } = splitPublic(key)
    const verifyEd25519 = ed25519.verifier({ pk: ed })
    return async (_scheme, data, blob) => {
      if (blob.length !== MLDSA.signature + ED25519.signature) return false
      const message = representative(data)
      // The quick half first: what fails there needs no lattice.
      const edScheme = { name: ed25519.name, hash: null }
      if (!(await verifyEd25519(edScheme, message, blob.subarray(MLDSA.signature)))) return false
      const library = await loadMldsa()
      return library.verify(blob.subarray(0, MLDSA.signature), message, mldsa, { context: LABEL })
    }
  },
  async checkPrivate(key) {
    const { mldsa, ed } = splitPublic(key)
    const seed = splitSeeds(key)
    await ed25519.checkPrivate({ pk: ed, seed: seed.ed })
    const derived = (await loadMldsa()).keygen(seed.mldsa)
    derived.secretKey.fill(0)
    if (!mldsa.equals(derived.publicKey)) {
      throw new KeytoolError('damaged', 'the private key belongs to another public key')
    }
  },
  async generate() {
    const library = await loadMldsa()
    const seeds = Buffer.alloc(MLDSA.seed + ED25519.seed)
    const halves = splitSeeds({ seeds })
    randomFillSync(halves.mldsa)
    const mldsa = library.keygen(halves.mldsa)
    mldsa.secretKey.fill(0)
    const ed = await ed25519.generate()
    halves.ed.set(ed.seed)
    ed.seed.fill(0)
    return { pk: Buffer.concat([mldsa.publicKey, ed.pk]), seeds }
  },
  signer(key) {
    const { mldsa, ed } = splitPublic(key)
    const seed = splitSeeds(key)
    const signEd25519 = ed25519.signer({ pk: ed, seed: seed.ed })
    return async (_scheme, data) => {
      const message = representative(data)
      const library = await loadMldsa()
      // Expanded anew each time, a third of a signature's cost: a copy that outlives the call could not be wiped.
      const { secretKey, publicKey } = library.keygen(seed.mldsa)
      try {
        // While the library was loading, the key may have been wiped: zeros are a seed, too.
        if (!mldsa.equals(publicKey)) throw new KeytoolError('failed', 'the key was closed before it could sign')
        const first = library.sign(message, secretKey, { context: LABEL })
        return Buffer.concat([first, await signEd25519({ name: ed25519.name, hash: null }, message)])
      } finally {
        secretKey.fill(0)
      }
    }
  },
}

/** What both halves sign instead of the message: prefix, label, the length of SSH's empty context, the message's hash. */
function representative(data: Uint8Array): Buffer {
  return Buffer.concat([PREFIX, LABEL, Buffer.of(0), createHash('sha512').update(data).digest()])
}

/** Views, not copies: wiping the key wipes them. */
function splitPublic({ pk }: Public): { mldsa: Buffer; ed: Buffer } {
  return { mldsa: pk.subarray(0, MLDSA.public), ed: pk.subarray(MLDSA.public) }
}

function splitSeeds({ seeds }: Private): { mldsa: Buffer; ed: Buffer } {
  return { mldsa: seeds.subarray(0, MLDSA.seed), ed: seeds.subarray(MLDSA.seed) }
}

/** A `string` of exactly so many bytes. */
function exactly(length: number): Field<Buffer> {
  return {
    read(r) {
      const offset = r.offset
      const value = r.string(2048)
      if (value.length === length) return value
      throw damagedAt(`an ML-DSA-44 with Ed25519 field has ${value.length} bytes instead of ${length}`, offset)
    },
    write: (w, v) => void w.string(v),
  }
}

/** Loaded on first use: it costs more than the rest of a command's start. Rejects with `failed` where it is missing. */
async function loadMldsa(): Promise<typeof ml_dsa44> {
  try {
    return (await import('@noble/post-quantum/ml-dsa.js')).ml_dsa44
  } catch (cause) {
    throw new KeytoolError('failed', 'the library for ML-DSA keys does not load', {
      reason: '@noble/post-quantum is missing or broken',
      hint: 'install keytool again',
      cause,
    })
  }
}
