import type { PublicKey, Signer } from '@keytool/keygen'
import type { KeyFile } from '../key-file.js'
import type { HostRecord } from './journal.js'

/** What let a key in, where the server says it. */
export interface AdmittedBy {
  /** A file on the server: shown escaped only. */
  readonly path: string
  readonly line: number
}

/** One server during a rotation: the ways in, and the file behind them. */
export interface RotationDoor {
  /**
   * The file that says which keys let the user in, over a connection that whatever let in.
   * @throws KeytoolError as `openKeyFile`
   */
  file(): Promise<KeyFile>
  /**
   * The same over a connection that this key alone has opened, which proves it. The connection stays: asked twice, it logs
   * in once. Where the server takes the key and wants more besides, that proves it as well, and the file is {@link file}.
   * @throws KeytoolError `secret-wrong` when the server refuses the key, and as `connect` does
   */
  fileBy(signer: Signer): Promise<KeyFile>
  /**
   * Whether the key alone is still let in, on a connection of its own.
   * @param signer without it the server is only asked whether it would take the key
   */
  admits(key: PublicKey, signer?: Signer): Promise<{ readonly admittedBy?: AdmittedBy } | undefined>
}

/** The keys of a rotation, and who signs with them here. */
export interface RotationKeys {
  readonly old: PublicKey
  readonly new: PublicKey
  /** Absent where only the public half is here. */
  readonly oldSigner?: Signer | undefined
  readonly newSigner?: Signer | undefined
}

/**
 * Writes down what is about to be done, or was done.
 * @returns once it is on disk: what is known of the host then
 */
export type Note = (change: Partial<HostRecord>) => Promise<HostRecord>

/** One host's part in a rotation. */
export interface HostRotation {
  readonly keys: RotationKeys
  readonly door: RotationDoor
  /** How far it has come, when it is begun or gone on with. */
  readonly record: HostRecord
  readonly note: Note
}

/** What came of it. */
export interface HostResult {
  readonly record: HostRecord
  /** What lets the key in that should not be any more, where the server says it. */
  readonly admittedBy?: AdmittedBy
}
