import type { PrivateKey, PublicKey } from '../key.js'
import type { Argon2Kind } from '../protect/argon2.js'
import type { Limits } from '../protect/caps.js'

/** How a file's key is derived from its passphrase: the public numbers. */
export interface KdfFacts {
  readonly name: string
  readonly rounds?: number
  /** In KiB. */
  readonly memory?: number
  readonly passes?: number
  readonly parallelism?: number
}

/** What a private key file shows without its passphrase. */
export interface KeyFacts {
  /** Format's name, such as `openssh`, `ppk3`. */
  readonly format: string
  readonly encrypted: boolean
  /** In OpenSSH's or PPK's own spelling; absent where the file is not encrypted. */
  readonly cipher?: string
  readonly kdf?: KdfFacts
  /**
   * The public half, as the file claims it, where it shows it. The comment is in it, where the file shows that (OpenSSH
   * files keep it inside the encrypted part).
   */
  readonly public?: PublicKey
}

export interface ReadOptions {
  readonly passphrase?: Uint8Array
  /** What the file's KDF may cost. Default: {@link defaultLimits}. */
  readonly limits?: Limits
}

export interface WriteOptions {
  /** Without one the key is written in the clear. An empty one is refused: nobody means it. */
  readonly passphrase?: Uint8Array
  /** OpenSSH: a cipher by its name there. */
  readonly cipher?: string
  /** OpenSSH: rounds of bcrypt_pbkdf. */
  readonly rounds?: number
  /** PPK: Argon2's kind and costs. */
  readonly argon2?: {
    readonly kind?: Argon2Kind
    /** In KiB. */
    readonly memory?: number
    readonly passes?: number
    readonly parallelism?: number
  }
}

/** One format of private key files. A new format is one file with these members, and a line in the registry. */
export interface KeyFormat {
  /** Name that `inspect` gives, such as `ppk3`. */
  readonly name: string
  /** Name that `convert --to` takes, such as `ppk`. */
  readonly option: string
  /** Name for people. */
  readonly title: string
  /** Whether the bytes claim to be of this format. Looks at the beginning only, and never throws. */
  detect(bytes: Buffer): boolean
  /** Never decrypts. Throws `damaged` or `unsupported`. */
  inspect(bytes: Buffer): KeyFacts
  /** Throws `secret-needed`, `secret-wrong`, `damaged` or `unsupported`. */
  read(bytes: Buffer, options?: ReadOptions): Promise<PrivateKey>
  /** Throws `unsupported` for a key the format can't hold or a cipher nobody knows, `usage` for options out of range. */
  write(key: PrivateKey, options?: WriteOptions): Promise<Buffer>
}
