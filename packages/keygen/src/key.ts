import { sign as cryptoSign, verify as cryptoVerify, type KeyObject } from 'node:crypto'
import type { Algorithm, Parts, SignatureHash, SignatureScheme } from './algorithms/algorithm.js'
import { algorithmNamed } from './algorithms/table.js'
import { KeytoolError } from './error.js'
import { fingerprint } from './fingerprint.js'
import { Reader, Writer } from './wire.js'

/** The public half: always known, never secret. */
export class PublicKey {
  readonly algorithm: Algorithm
  /** The parts by their names in the specification. */
  readonly parts: Parts
  /** The public key blob, RFC 4253 section 6.6: the name, then the type's own fields. */
  readonly blob: Buffer
  readonly comment: string
  #object: KeyObject | undefined

  private constructor(algorithm: Algorithm, parts: Parts, blob: Buffer, comment: string) {
    this.algorithm = algorithm
    this.parts = parts
    this.blob = blob
    this.comment = comment
  }

  /** Reads a public key blob. Throws `damaged` or, for a type not in the table, `unsupported`. */
  static fromBlob(blob: Uint8Array, comment = ''): PublicKey {
    const reader = new Reader(blob)
    const algorithm = algorithmNamed(reader.text(256))
    const parts = algorithm.publicFields.read(reader)
    reader.end()
    algorithm.checkPublic(parts)
    return new PublicKey(algorithm, parts, Buffer.from(blob), comment)
  }

  /** @param parts may hold more than the public parts; only those are kept. */
  static fromParts(algorithm: Algorithm, parts: Parts, comment = ''): PublicKey {
    const writer = new Writer().text(algorithm.name)
    algorithm.publicFields.write(writer, parts)
    return PublicKey.fromBlob(writer.done(), comment)
  }

  /** Size in bits, as ssh-keygen counts it. */
  get bits(): number {
    return this.algorithm.bits(this.parts)
  }

  withComment(comment: string): PublicKey {
    return new PublicKey(this.algorithm, this.parts, this.blob, comment)
  }

  /** The same key, whatever the comments. */
  equals(other: PublicKey): boolean {
    return this.blob.equals(other.blob)
  }

  /**
   * True when `signature` is this key's over `data`. False for anything else, damage included.
   * @param signature an SSH signature: a scheme's name and its blob (RFC 4253 section 6.6)
   */
  verify(data: Uint8Array, signature: Signature): boolean {
    const scheme = this.algorithm.schemes.find(({ name }) => name === signature.scheme)
    if (!scheme) return false
    this.#object ??= this.algorithm.publicObject(this.parts)
    try {
      const raw = this.algorithm.signatureForm?.fromSsh(signature.blob) ?? signature.blob
      return cryptoVerify(scheme.hash, data, { key: this.#object, dsaEncoding: 'ieee-p1363' }, raw)
    } catch {
      return false
    }
  }
}

/** A signature as SSH has it. */
export interface Signature {
  /** Name of the scheme, such as `rsa-sha2-512`. */
  readonly scheme: string
  readonly blob: Buffer
}

/** The signature as one string: the scheme's name, then its blob (RFC 4253 section 6.6). */
export function encodeSignature(signature: Signature): Buffer {
  return new Writer().text(signature.scheme).string(signature.blob).done()
}

/** The reverse of {@link encodeSignature}. Throws `damaged`. */
export function decodeSignature(bytes: Uint8Array): Signature {
  const reader = new Reader(bytes)
  const signature = { scheme: reader.text(256), blob: reader.string() }
  reader.end()
  return signature
}

export interface SignOptions {
  /** Which of RSA's hashes; the other types have no choice. Default: the type's best. */
  readonly hash?: SignatureHash
}

/** Whatever can sign: a key in memory, one in an agent, one still sealed. The seam between those who hold keys and use them. */
export interface Signer {
  readonly publicKey: PublicKey
  sign(data: Uint8Array, options?: SignOptions): Promise<Signature>
}

/** A private key that is open. It has no text form: JSON shows the fingerprint only, and its parts stand in private fields. */
export class PrivateKey implements Signer {
  readonly publicKey: PublicKey
  readonly #parts: Parts
  #object: KeyObject | undefined

  private constructor(publicKey: PublicKey, parts: Parts) {
    this.publicKey = publicKey
    this.#parts = parts
  }

  /**
   * Takes public and private parts and checks that they belong together, so that no key exists that contradicts
   * itself. The buffers become the key's own: {@link PrivateKey.wipe} clears them. Throws `damaged`.
   */
  static fromParts(algorithm: Algorithm, parts: Parts, comment = ''): PrivateKey {
    const publicKey = PublicKey.fromParts(algorithm, parts, comment)
    algorithm.checkPrivate(parts)
    return new PrivateKey(publicKey, parts)
  }

  get algorithm(): Algorithm {
    return this.publicKey.algorithm
  }

  get comment(): string {
    return this.publicKey.comment
  }

  /** Public and private parts, for the formats that write them. The buffers stay the key's own. */
  get parts(): Parts {
    return this.#parts
  }

  withComment(comment: string): PrivateKey {
    return new PrivateKey(this.publicKey.withComment(comment), this.#parts)
  }

  /**
   * Signs. Types that are quick sign at once; RSA signs in node's threadpool, so that the event loop goes on.
   * Throws `usage` for a hash the type does not have.
   */
  async sign(data: Uint8Array, options: SignOptions = {}): Promise<Signature> {
    const { schemes, signatureForm } = this.algorithm
    const scheme =
      options.hash === undefined || schemes.length === 1 ? schemes[0] : schemes.find(s => s.hash === options.hash)
    if (!scheme) throw new KeytoolError('usage', `${this.algorithm.type} keys do not sign with ${options.hash}`)
    const raw = schemes.length > 1 ? await this.#signInThread(scheme, data) : this.#signAtOnce(scheme, data)
    return { scheme: scheme.name, blob: signatureForm?.toSsh(raw) ?? raw }
  }

  /** Overwrites the secret parts. The key can't be used afterwards. */
  wipe(): void {
    this.#object = undefined
    for (const part of Object.values(this.#parts)) part.fill(0)
  }

  toJSON(): { fingerprint: string } {
    return { fingerprint: fingerprint(this.publicKey) }
  }

  #key(): { key: KeyObject; dsaEncoding: 'ieee-p1363' } {
    this.#object ??= this.algorithm.privateObject(this.#parts)
    return { key: this.#object, dsaEncoding: 'ieee-p1363' }
  }

  #signAtOnce(scheme: SignatureScheme, data: Uint8Array): Buffer {
    return cryptoSign(scheme.hash, data, this.#key())
  }

  #signInThread(scheme: SignatureScheme, data: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      cryptoSign(scheme.hash, data, this.#key(), (error, signature) => (error ? reject(error) : resolve(signature)))
    })
  }
}
