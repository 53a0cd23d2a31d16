import type { Algorithm } from '../algorithms/algorithm.js'
import type { PrivateKey, PublicKey } from '../key.js'
import type { Argon2Kind } from '../protect/argon2.js'
import type { Limits } from '../protect/caps.js'

/** How a file's key is derived from its passphrase: the public numbers. */
export interface KdfFacts {
  /** Such as `bcrypt`, `Argon2id`, `pbkdf2-sha256`, `scrypt`, `md5`. */
  readonly name: string
  /** Of bcrypt; iterations of PBKDF2. */
  readonly rounds?: number
  /** In KiB: Argon2 and scrypt. */
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
  /** Name of the key's type on the wire, where the file shows that much although it hides the public half. */
  readonly type?: string
  /** The comment, where the file shows that although it hides the public half. */
  readonly comment?: string
}

export interface ReadOptions {
  readonly passphrase?: Uint8Array
  /** What the file's KDF may cost. Default: {@link defaultLimits}. */
  readonly limits?: Limits
  /** How the key is proved: see {@link PrivateKey.fromParts}. Default: `whole`. */
  readonly proof?: 'whole' | 'quick'
}

export interface WriteOptions {
  /** Without one the key is written in the clear. An empty one is refused: nobody means it. */
  readonly passphrase?: Uint8Array
  /** A cipher of the format's list, by its name there. */
  readonly cipher?: string
  /** OpenSSH: rounds of bcrypt_pbkdf. PKCS#8: iterations of PBKDF2. */
  readonly rounds?: number
  /** PKCS#8: which KDF. Default: `pbkdf2`. */
  readonly kdf?: 'pbkdf2' | 'scrypt'
  /** PPK version 3: Argon2's kind and costs. */
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
  /** Name that `convert --to` takes, such as `ppk`. Absent for formats that are read only. */
  readonly option?: string
  /** Name for people. */
  readonly title: string
  /** Ciphers it can be written with, the default first. Empty: it can't be encrypted. */
  readonly ciphers: readonly string[]
  /** Which other members of {@link WriteOptions} mean something to it. */
  readonly tuning?: readonly ('rounds' | 'kdf' | 'argon2')[]
  /** Whether keys of this type have a place in it. */
  holds(algorithm: Algorithm): boolean
  /** Whether it keeps a comment. */
  readonly keepsComment: boolean
  /** Whether the bytes claim to be of this format. Looks at the beginning only, and never throws. */
  detect(bytes: Buffer): boolean
  /** Whether nothing but the key stands in the file. Never throws. Absent where reading refuses what is more. */
  isAlone?(bytes: Buffer): boolean
  /** Never decrypts. Rejects with `damaged` or `unsupported`. */
  inspect(bytes: Buffer): Promise<KeyFacts>
  /** Rejects with `secret-needed`, `secret-wrong`, `damaged` or `unsupported`. */
  read(bytes: Buffer, options?: ReadOptions): Promise<PrivateKey>
  /**
   * Rejects with `unsupported` for a key the format can't hold or a cipher it does not have, `usage` for options out of
   * range. Absent for formats that are read only.
   */
  write?(key: PrivateKey, options?: WriteOptions): Promise<Buffer>
}

/** A format that can be written. */
export type WritableFormat = KeyFormat & Required<Pick<KeyFormat, 'option' | 'write'>>

/** One format of public keys. */
export interface PublicFormat {
  /** Name that `inspect` gives, and `public --format` takes where it can be written. */
  readonly name: string
  readonly title: string
  /** Whether the bytes claim to be of this format. Looks at the beginning only, and never throws. */
  detect(bytes: Buffer): boolean
  /** Whether it keeps a comment. */
  readonly keepsComment?: true
  /** Every key in the file. Rejects with `damaged` or `unsupported`. */
  read(bytes: Buffer): Promise<PublicKey[]>
  /** The key as text or bytes of this format. Throws `unsupported` for a type it can't hold. Absent where it is read only. */
  write?(key: PublicKey): Buffer
}
