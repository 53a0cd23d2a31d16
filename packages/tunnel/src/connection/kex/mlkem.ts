import type { KeyObject } from 'node:crypto'
import * as crypto from 'node:crypto'

/** Bytes of ML-KEM-768, FIPS 203 table 3. */
export const MLKEM768 = { publicKey: 1184, ciphertext: 1088, secret: 32 } as const

/** One pair of keys, for one exchange. */
export interface MlKemPair {
  readonly publicKey: Buffer
  /** The secret that the other side has put into `ciphertext`, which has the right length. Any bytes give one. */
  decapsulate(ciphertext: Buffer): Buffer
}

export type MakeMlKemPair = () => MlKemPair

/** Node's own, from 24.7 on. */
interface NodeMlKem {
  readonly decapsulate?: (key: KeyObject, ciphertext: Uint8Array) => Buffer
  generateKeyPairSync(type: string): { publicKey: KeyObject; privateKey: KeyObject }
}

let loaded: MakeMlKemPair | undefined

/** What makes pairs, if it is loaded. */
export function mlKemIfLoaded(): MakeMlKemPair | undefined {
  return loaded
}

/** Node's own ML-KEM where there is one, else a library's: 20 ms to load, once. */
export async function loadMlKem(): Promise<MakeMlKemPair> {
  loaded ??= nodeMlKem(crypto as unknown as NodeMlKem) ?? (await nobleMlKem())
  return loaded
}

/** @param node where node's functions are, or are not */
export function nodeMlKem(node: NodeMlKem): MakeMlKemPair | undefined {
  const { decapsulate } = node
  if (typeof decapsulate !== 'function') return undefined
  try {
    // An OpenSSL before 3.5 has none, whatever node has.
    node.generateKeyPairSync('ml-kem-768')
  } catch {
    return undefined
  }
  return () => {
    const { publicKey, privateKey } = node.generateKeyPairSync('ml-kem-768')
    // The key stands last in SubjectPublicKeyInfo (RFC 9935 section 4), and has one length.
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    return {
      publicKey: spki.subarray(spki.length - MLKEM768.publicKey),
      decapsulate: ciphertext => decapsulate(privateKey, ciphertext),
    }
  }
}

export async function nobleMlKem(): Promise<MakeMlKemPair> {
  const { ml_kem768: library } = await import('@noble/post-quantum/ml-kem.js')
  return () => {
    const { publicKey, secretKey } = library.keygen()
    return {
      publicKey: Buffer.from(publicKey),
      decapsulate(ciphertext) {
        const secret = Buffer.from(library.decapsulate(ciphertext, secretKey))
        secretKey.fill(0)
        return secret
      },
    }
  }
}
