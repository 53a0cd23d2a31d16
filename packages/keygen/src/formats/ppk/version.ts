import type { Algorithm } from '../../algorithms/algorithm.js'
import type { PublicKey } from '../../key.js'
import type { Limits } from '../../protect/caps.js'
import { type Cipher, cipherNamed } from '../../protect/ciphers.js'
import type { Reader } from '../../wire.js'
import type { KdfFacts } from '../format.js'
import type { PpkLines } from './lines.js'

/** What every PPK file begins with; its version's number and a colon follow. */
export const MAGIC = 'PuTTY-User-Key-File-'
/** The one cipher of PPK files, which has the same name with OpenSSH. */
export const CIPHER: Cipher = cipherNamed('aes256-cbc')

/** What a PPK file says in the clear. */
export interface Header {
  /** Name of the key's type on the wire: a certificate's where the file holds one. */
  readonly type: string
  /** `none` or {@link CIPHER}'s name. */
  readonly encryption: string
  /** As it stands in the file: UTF-8 today, anything in old files. */
  readonly comment: Buffer
  readonly publicBlob: Buffer
}

/** How one file's keys come from its passphrase. */
export interface Derivation {
  readonly facts: KdfFacts
  /** The lines that describe it in the file. */
  readonly lines: readonly string[]
  /** Throws `damaged` or `unsupported` where it would cost more than allowed. */
  check(limits: Limits): void
  /** Key, IV and MAC key, one after the other, as many bytes as the version has. */
  derive(passphrase: Uint8Array): Promise<Buffer>
}

/** What one version of the format does in its own way; the rest is the same in all (PuTTY manual, appendix C). */
export interface PpkVersion {
  readonly number: 1 | 2 | 3
  /** Of the MAC, in bytes. */
  readonly macSize: number
  /** The names that the MAC's line may have. */
  readonly macNames: readonly string[]
  /** Reads what describes the KDF, between the public and the private part. */
  readDerivation(lines: PpkLines): Derivation
  /** The MAC key of files in the clear. */
  plainMacKey(): Buffer
  /**
   * The MAC.
   * @param plain the private part, decrypted, its padding included; @param name of the line it stands in
   */
  mac(key: Buffer, header: Header, plain: Buffer, name: string): Buffer
  /** Reads what follows the key's own fields in the private part, where the version has more. Throws `damaged`. */
  readMore?(reader: Reader, publicKey: PublicKey): void
}

/** Whether PuTTY has keys of this type. */
export function hasPpkFields({ ppkFields }: Algorithm): boolean {
  return ppkFields !== undefined
}

/** The version that the bytes claim, as text of any kind; `undefined` where they are no PPK file. Never throws. */
export function claimedVersion(bytes: Buffer): string | undefined {
  const head = bytes.toString('latin1', 0, MAGIC.length + 16)
  if (!head.startsWith(MAGIC)) return undefined
  return head.slice(MAGIC.length).split(':', 1)[0]
}
