import { createHash, createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto'
import { KeytoolError } from '@keytool/keygen'
import { type MakeMlKemPair, MLKEM768 } from './mlkem.js'

/** Bytes of a public key and of a secret, RFC 7748 section 5. */
const X25519 = 32
/** SubjectPublicKeyInfo of an X25519 key, up to the key itself (RFC 8410 section 4). */
const SPKI_HEAD = Buffer.from('302a300506032b656e032100', 'hex')

/** Our half of one key exchange by mlkem768x25519-sha256. */
export interface Hybrid {
  /** C_INIT: ML-KEM's public key, then X25519's. */
  readonly publicKey: Buffer
  /**
   * K: SHA-256 over both secrets, to be encoded as a string and not as an mpint.
   * @param reply S_REPLY: ML-KEM's ciphertext, then the server's X25519 key
   * @throws KeytoolError `damaged` for one of another length, or of a point that makes the secret a known one
   */
  computeSecret(reply: Buffer): Buffer
}

/** Makes keys for one exchange (draft-ietf-sshm-mlkem-hybrid-kex section 2, as OpenSSH 9.9 and later have it). */
export function makeHybrid(makePair: MakeMlKemPair): Hybrid {
  const postQuantum = makePair()
  const classical = generateKeyPairSync('x25519')
  const publicKey = classical.publicKey.export({ type: 'spki', format: 'der' }).subarray(SPKI_HEAD.length)
  return {
    publicKey: Buffer.concat([postQuantum.publicKey, publicKey]),
    computeSecret(reply) {
      const length = MLKEM768.ciphertext + X25519
      if (reply.length !== length) {
        throw new KeytoolError(
          'damaged',
          `the server's half of the key exchange has ${reply.length} bytes, not ${length}`,
        )
      }
      const first = postQuantum.decapsulate(reply.subarray(0, MLKEM768.ciphertext))
      const second = agreeX25519(classical.privateKey, reply.subarray(MLKEM768.ciphertext))
      const secret = createHash('sha256').update(first).update(second).digest()
      first.fill(0)
      second.fill(0)
      return secret
    },
  }
}

/** RFC 8731 section 3: a secret of zeros, which points of small order make, ends the exchange. */
function agreeX25519(privateKey: Parameters<typeof diffieHellman>[0]['privateKey'], point: Buffer): Buffer {
  let secret: Buffer | undefined
  try {
    const publicKey = createPublicKey({ key: Buffer.concat([SPKI_HEAD, point]), type: 'spki', format: 'der' })
    secret = diffieHellman({ privateKey, publicKey })
  } catch {
    // OpenSSL refuses such points by itself.
  }
  if (secret?.some(byte => byte !== 0)) return secret
  throw new KeytoolError('damaged', "the server's key for the key exchange is none")
}
