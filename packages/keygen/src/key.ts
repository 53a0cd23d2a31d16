import type { Algorithm, Parts, PublicAlgorithm, Sign, SignatureHash, Verify } from './algorithms/algorithm.js'
import { publicAlgorithmNamed, schemeTails } from './algorithms/table.js'
import { isKeytoolError, KeytoolError } from './error.js'
import { fingerprint } from './fingerprint.js'
import { Reader, Writer } from './wire.js'

/** The public half: always known, never secret. */
export class PublicKey {
  readonly algorithm: PublicAlgorithm
  /** The parts by their names in the specification. */
  readonly parts: Parts
  /** The public key blob, RFC 4253 section 6.6: the name, then the type's own fields. */
  readonly blob: Buffer
  readonly comment: string
  #verify: Verify | undefined
  readonly #isChecked: boolean

  private constructor(algorithm: PublicAlgorithm, parts: Parts, blob: Buffer, comment: string, isChecked = true) {
    this.algorithm = algorithm
    this.parts = parts
    this.blob = blob
    this.comment = comment
    this.#isChecked = isChecked
  }

  /**
   * Reads a public key blob. Throws `damaged` or, for a type not in the table, `unsupported`.
   * @param check whether it can be a key: `later`, before it first verifies something, for one that is compared with
   *   others and no more (for DSA a check takes milliseconds, and one message may hold hundreds of keys)
   */
  static fromBlob(blob: Uint8Array, comment = '', check: 'now' | 'later' = 'now'): PublicKey {
    // The parts are views of this copy: what becomes of the caller's bytes is nothing to the key.
    const own = Buffer.from(blob)
    const reader = new Reader(own)
    const algorithm = publicAlgorithmNamed(reader.text(256))
    const parts = algorithm.publicFields.read(reader)
    reader.end()
    if (check === 'now') algorithm.checkPublic(parts)
    return new PublicKey(algorithm, parts, own, comment, check === 'now')
  }

  /** @param parts may hold more than the public parts; only those are kept. */
  static fromParts(algorithm: PublicAlgorithm, parts: Parts, comment = ''): PublicKey {
    const writer = new Writer().text(algorithm.name)
    algorithm.publicFields.write(writer, parts)
    return PublicKey.fromBlob(writer.done(), comment)
  }

  /** Size in bits, as ssh-keygen counts it. */
  get bits(): number {
    return this.algorithm.bits(this.parts)
  }

  /** The key itself: of a certificate the key it certifies. Fingerprints are of this one. */
  get plain(): PublicKey {
    const { certifies } = this.algorithm
    return certifies ? PublicKey.fromParts(certifies, this.parts, this.comment) : this
  }

  withComment(comment: string): PublicKey {
    return new PublicKey(this.algorithm, this.parts, this.blob, comment, this.#isChecked)
  }

  /** The same key, whatever the comments. */
  equals(other: PublicKey): boolean {
    return this.blob.equals(other.blob)
  }

  /**
   * True when `signature` is this key's over `data`. False for anything else, damage included.
   * @param signature an SSH signature: a scheme's name and its blob (RFC 4253 section 6.6)
   */
  async verify(data: Uint8Array, signature: Signature): Promise<boolean> {
    const scheme = this.algorithm.schemes.find(({ name }) => name === signature.scheme)
    if (!scheme) return false
    try {
      this.#verify ??= this.#makeVerifier()
      return await this.#verify(scheme, data, signature.blob)
    } catch (error) {
      // A blob that can be no signature is none. A library that does not load is another matter.
      if (isKeytoolError(error) && error.code !== 'damaged') throw error
      return false
    }
  }

  #makeVerifier(): Verify {
    if (!this.#isChecked) this.algorithm.checkPublic(this.parts)
    return this.algorithm.verifier(this.parts)
  }
}

/** A signature as SSH has it. */
export interface Signature {
  /** Name of the scheme, such as `rsa-sha2-512`. */
  readonly scheme: string
  /** The signature's bytes. A token's: those as a string, then its flags and counter (PROTOCOL.u2f). */
  readonly blob: Buffer
}

/** The signature as one string: the scheme's name, then its blob (RFC 4253 section 6.6). */
export function encodeSignature({ scheme, blob }: Signature): Buffer {
  const writer = new Writer().text(scheme)
  return (tailOf(scheme) > 0 ? writer.bytes(blob) : writer.string(blob)).done()
}

/** The reverse of {@link encodeSignature}. Throws `damaged`. */
export function decodeSignature(bytes: Uint8Array): Signature {
  const reader = new Reader(bytes)
  const scheme = reader.text(256)
  const start = reader.left
  const inner = reader.string()
  const tail = tailOf(scheme)
  reader.bytes(tail)
  reader.end()
  return { scheme, blob: tail > 0 ? Buffer.from(bytes.subarray(bytes.length - start)) : inner }
}

function tailOf(scheme: string): number {
  return schemeTails.get(scheme) ?? 0
}

export interface SignOptions {
  /** Which of RSA's hashes; the other types have no choice. Default: the type's best. */
  readonly hash?: SignatureHash
  /** Whether the event loop is to go on meanwhile, where the type can sign in node's threadpool. Default: if it is slow. */
  readonly inThread?: boolean
}

/** Whatever can sign: a key in memory, one in an agent, one still sealed. The seam between those who hold keys and use them. */
export interface Signer {
  readonly publicKey: PublicKey
  /** A certificate of that key. Whoever logs in offers it before the key itself. */
  readonly certificate?: PublicKey | undefined
  sign(data: Uint8Array, options?: SignOptions): Promise<Signature>
}

/** A private key that is open. It has no text form: JSON shows the fingerprint only, and its parts stand in private fields. */
export class PrivateKey implements Signer {
  readonly algorithm: Algorithm
  readonly publicKey: PublicKey
  /** A certificate of this key, where the file keeps one with it (PPK does). */
  readonly certificate: PublicKey | undefined
  readonly #parts: Parts
  #sign: Sign | undefined

  private constructor(algorithm: Algorithm, publicKey: PublicKey, parts: Parts, certificate?: PublicKey) {
    this.algorithm = algorithm
    this.publicKey = publicKey
    this.certificate = certificate
    this.#parts = parts
  }

  /**
   * Takes public and private parts and checks that they belong together, so that no key exists that contradicts
   * itself. The buffers become the key's own: {@link PrivateKey.wipe} clears them. Rejects with `damaged`.
   * @param proof `quick` leaves out what takes long to prove (that RSA's factors are primes: 20 ms to seconds): for whoever
   *   takes keys from a program that has opened them, and can ask for a signature instead
   */
  static async fromParts(
    algorithm: Algorithm,
    parts: Parts,
    comment = '',
    proof: 'whole' | 'quick' = 'whole',
  ): Promise<PrivateKey> {
    const publicKey = PublicKey.fromParts(algorithm, parts, comment)
    await algorithm.checkPrivate(parts)
    if (proof === 'whole') await algorithm.prove?.(parts)
    return new PrivateKey(algorithm, publicKey, parts)
  }

  /**
   * Like {@link PrivateKey.fromParts} for parts that are views of bytes which will be wiped, or that somebody else owns:
   * the key gets copies of its own, of which nothing stays when it is none.
   */
  static async fromViews(
    algorithm: Algorithm,
    views: Parts,
    comment?: string,
    proof?: 'whole' | 'quick',
  ): Promise<PrivateKey> {
    const parts = Object.fromEntries(Object.entries(views).map(([name, part]) => [name, Buffer.from(part)]))
    try {
      return await PrivateKey.fromParts(algorithm, parts, comment, proof)
    } catch (error) {
      for (const part of Object.values(parts)) part.fill(0)
      throw error
    }
  }

  /** A fresh key. What the row has just made is not checked again: with RSA that takes as long as making it. */
  static async generated(algorithm: Algorithm, bits?: number, comment = ''): Promise<PrivateKey> {
    if (!algorithm.generate) throw new KeytoolError('usage', `${algorithm.type} keys are not made here`)
    const parts = await algorithm.generate(bits)
    return new PrivateKey(algorithm, PublicKey.fromParts(algorithm, parts, comment), parts)
  }

  get comment(): string {
    return this.publicKey.comment
  }

  /** Public and private parts, for the formats that write them. The buffers stay the key's own. */
  get parts(): Parts {
    return this.#parts
  }

  withComment(comment: string): PrivateKey {
    const certificate = this.certificate?.withComment(comment)
    return new PrivateKey(this.algorithm, this.publicKey.withComment(comment), this.#parts, certificate)
  }

  /** The same key with a certificate of it. Throws `damaged` for one of another key. */
  withCertificate(certificate: PublicKey): PrivateKey {
    if (!certificate.algorithm.certifies || !certificate.plain.equals(this.publicKey)) {
      throw new KeytoolError('damaged', 'the certificate is that of another key')
    }
    return new PrivateKey(this.algorithm, this.publicKey, this.#parts, certificate)
  }

  /**
   * Signs. Types that are quick sign at once; the `slow` ones sign in node's threadpool, so that the event loop goes on.
   * @throws KeytoolError `usage` for a hash the type does not have, `unsupported` for a key whose secret is in a device
   */
  async sign(data: Uint8Array, options: SignOptions = {}): Promise<Signature> {
    const { schemes, type } = this.algorithm
    const scheme =
      options.hash === undefined || schemes.length === 1 ? schemes[0] : schemes.find(s => s.hash === options.hash)
    if (!scheme) throw new KeytoolError('usage', `${type} keys do not sign with ${options.hash}`)
    this.#sign ??= this.algorithm.signer?.(this.#parts)
    if (!this.#sign) {
      throw new KeytoolError('unsupported', `${type} keys sign in their device only; the file holds a handle to it`)
    }
    return { scheme: scheme.name, blob: await this.#sign(scheme, data, options.inThread) }
  }

  /**
   * Overwrites the secret parts where what signs has them by itself, in memory of OpenSSL's that may be locked. The key signs
   * as before, and can't be written any more.
   */
  dropParts(): void {
    const { signer, signsAlone } = this.algorithm
    if (!signer || !signsAlone) return
    this.#sign ??= signer(this.#parts)
    for (const part of Object.values(this.#parts)) part.fill(0)
  }

  /** Overwrites the secret parts. The key can't be used afterwards. */
  wipe(): void {
    this.#sign = undefined
    for (const part of Object.values(this.#parts)) part.fill(0)
  }

  toJSON(): { fingerprint: string } {
    return { fingerprint: fingerprint(this.publicKey) }
  }
}
