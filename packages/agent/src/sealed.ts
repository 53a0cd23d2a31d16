import {
  defaultLimits,
  detectPrivate,
  type KdfFacts,
  type KeyFacts,
  type KeyFormat,
  KeytoolError,
  type Limits,
  type PrivateKey,
  type PublicKey,
} from '@keytool/keygen'
import type { Identity } from './agent.js'

/** What reading a sealed key needs to know. */
export interface SealedOptions {
  /** Where the file keeps the comment inside the encrypted part, as OpenSSH's do. Default: none. */
  readonly comment?: string
  /** What the file's KDF may cost. */
  readonly limits?: Limits
}

/**
 * A key file that is still encrypted: its public half, and what it takes to open it. Of the secret there is nothing here
 * that the file does not show to anybody.
 */
export class SealedKey {
  /** As the file claims it; {@link SealedKey.open} proves it. */
  readonly publicKey: PublicKey
  /** A certificate that the file keeps with the key, as PPK files may. */
  readonly certificate: PublicKey | undefined
  /** Format's name, such as `openssh`, `ppk3`. */
  readonly format: string
  readonly kdf: KdfFacts | undefined
  readonly #format: KeyFormat
  readonly #bytes: Buffer
  readonly #limits: Limits

  private constructor(format: KeyFormat, bytes: Buffer, shown: PublicKey, facts: KeyFacts, limits: Limits) {
    this.publicKey = shown.plain
    this.certificate = shown.algorithm.certifies ? shown : undefined
    this.format = facts.format
    this.kdf = facts.kdf
    this.#format = format
    this.#bytes = bytes
    this.#limits = limits
  }

  /**
   * Looks at a file without a passphrase, and checks all that can be checked without one: what comes up later comes up
   * when somebody waits for a signature.
   * @param bytes are copied
   * @throws KeytoolError `damaged`; `unsupported` for what can't be held like this: a file that is not encrypted, hides
   * its public half, is for a device, or would cost too much to open
   */
  static async read(bytes: Buffer, options: SealedOptions = {}): Promise<SealedKey> {
    const { comment, limits = defaultLimits } = options
    const own = Buffer.from(bytes)
    try {
      const format = detectPrivate(own)
      const facts = await format.inspect(own)
      const shown = publicOf(facts, format.title)
      await checkOpenable(format, own, limits)
      const named = shown.comment === '' && comment !== undefined ? shown.withComment(comment) : shown
      return new SealedKey(format, own, named, facts, limits)
    } catch (error) {
      // What is refused may lie open.
      own.fill(0)
      throw error
    }
  }

  /** As the agent's list shows it. */
  get identity(): Identity {
    return { blob: this.publicKey.blob, comment: this.publicKey.comment }
  }

  /** Of the encrypted file, in bytes. */
  get size(): number {
    return this.#bytes.length
  }

  /** The encrypted file, as it was read. A copy. */
  get bytes(): Buffer {
    return Buffer.from(this.#bytes)
  }

  /**
   * The key, which is the caller's to wipe. Its comment is the file's own, where that has one.
   * @throws KeytoolError `secret-wrong`; `damaged`, also when the file has shown another public half than it holds
   */
  async open(passphrase: Uint8Array): Promise<PrivateKey> {
    const key = await this.#format.read(this.#bytes, { passphrase, limits: this.#limits })
    if (!key.publicKey.equals(this.publicKey)) {
      key.wipe()
      throw new KeytoolError('damaged', 'the file shows another public key than the one its private key has')
    }
    return key.comment === '' ? key.withComment(this.publicKey.comment) : key
  }

  toJSON(): object {
    return { format: this.format }
  }
}

function publicOf({ encrypted, public: shown }: KeyFacts, title: string): PublicKey {
  if (!encrypted) throw notEncrypted()
  if (!shown) throw unsupported(`${title} files hide their public half`, 'it would be known after opening only')
  const algorithm = shown.algorithm.certifies ?? shown.algorithm
  if (algorithm.name.startsWith('sk-')) {
    throw unsupported(`${algorithm.type} keys sign in their device only`, 'the file holds a handle to it')
  }
  return shown
}

/** The formats ask for the passphrase after everything else has been found right. */
async function checkOpenable(format: KeyFormat, bytes: Buffer, limits: Limits): Promise<void> {
  try {
    const key = await format.read(bytes, { limits })
    key.wipe()
  } catch (error) {
    if ((error as KeytoolError).code === 'secret-needed') return
    throw error
  }
  throw notEncrypted()
}

function notEncrypted(): KeytoolError {
  return new KeytoolError('unsupported', 'the key is not encrypted', {
    reason: 'it can be added open only',
    hint: 'keytool passphrase gives it a passphrase',
  })
}

function unsupported(message: string, reason: string): KeytoolError {
  return new KeytoolError('unsupported', message, {
    reason: `${reason}; sealed keys are OpenSSH or PPK files`,
    hint: 'keytool convert turns it into one',
  })
}
