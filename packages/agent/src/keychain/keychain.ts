/** `none`: there is no keychain here, as on a server, or it does not answer. */
export type KeychainState = 'unlocked' | 'locked' | 'none'

/** What the keychain's index says of one passphrase. Never the passphrase. */
export interface KeychainEntry {
  /** `SHA256:…`, that of the key itself, not of its certificate. */
  readonly fingerprint: string
  readonly comment: string
  /** Where the private key lay when it was stored: absolute. */
  readonly file?: string
}

/**
 * The passphrases that the system's keychain keeps for us, by the fingerprints of their keys.
 *
 * Every method rejects with a KeytoolError: `refused` while the keychain is locked; `unreachable` where there is none, or
 * where it did not answer in time; `damaged` or `failed` where our list of entries can't be read or changed. A locked
 * keychain is never taken for an empty one.
 */
export interface Keychain {
  /** Has whatever answers get ready: what is asked within the next seconds takes less time. */
  prepare(): void
  /** Never rejects. */
  state(): Promise<KeychainState>
  /**
   * The passphrase, for the caller to wipe; `undefined` where none is stored for this key. Rejects with `cancelled`, too,
   * when the signal is aborted.
   */
  find(fingerprint: string, signal?: AbortSignal): Promise<Buffer | undefined>
  /**
   * Stores it, in the place of what was there for this key. The caller wipes it. Rejects with `unsupported`, too, for one
   * that is empty, no UTF-8, or has a zero byte: keychains keep texts.
   */
  store(entry: KeychainEntry, passphrase: Uint8Array): Promise<void>
  /** Whether there was one. */
  forget(fingerprint: string): Promise<boolean>
  /** What is stored, in the order of storing. */
  list(): Promise<readonly KeychainEntry[]>
}

export interface KeychainOptions {
  /** The program that talks to the keychain, for node to run: absolute. */
  readonly program: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Milliseconds that the keychain has for an answer. Default 5000. */
  readonly timeout?: number
}
