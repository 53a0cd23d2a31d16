import { type Certificate, readCertificate } from './certificate.js'
import type { KeytoolError } from './error.js'
import type { SshfpFacts } from './formats/foreign/sshfp.js'
import type { KeyFacts } from './formats/format.js'
import type { Krl } from './formats/krl.js'
import type { HostMarker } from './formats/lines/known-hosts.js'
import type { Ssh1Facts } from './formats/ssh1.js'
import type { PublicKey } from './key.js'

/** A private key: what its file shows without a passphrase. */
export type InspectedPrivate = { readonly kind: 'private'; readonly line?: undefined } & KeyFacts

/** A public key on its own. */
export interface InspectedPublic {
  readonly kind: 'public'
  readonly format: string
  readonly public: PublicKey
  /** Counted from 1, where the file has one line a key. */
  readonly line?: number
}

/** A certificate. Whether its signature holds, nobody has looked yet. */
export interface InspectedCertificate {
  readonly kind: 'certificate'
  readonly format: string
  readonly public: PublicKey
  readonly certificate: Certificate
  readonly line?: number
}

/** A line of authorized_keys or known_hosts: a key, or why there is none. */
interface InspectedLine {
  readonly format: string
  readonly line: number
  readonly public?: PublicKey
  /** As the line names it, whether it is known here or not; `rsa1` for an SSH-1 key. */
  readonly type?: string
  readonly comment: string
  /** What `ssh-keygen -l` shows as the comment: where there is none, what stands in front of the key. */
  readonly label: string
  /** One for all lines with this trouble: `line` says where. */
  readonly error?: KeytoolError
}

export interface InspectedAuthorizedKey extends InspectedLine {
  readonly kind: 'authorized_keys'
  /** As they stand; empty without. */
  readonly options: string
  /** False where sshd passes the line over: behind a byte order mark, or with options it does not take. */
  readonly heeded: boolean
}

export interface InspectedKnownHost extends InspectedLine {
  readonly kind: 'known_hosts'
  readonly marker?: HostMarker
  /** The patterns as they stand, with commas between; `hashed` for a name that is hidden. */
  readonly hosts: string
}

/** A signature over a file. Whether it holds, nobody has looked yet. */
export interface InspectedSignature {
  readonly kind: 'signature'
  readonly format: 'sshsig'
  /** Who signed, as the signature claims. */
  readonly public: PublicKey
  readonly version: number
  readonly namespace: string
  readonly hash: string
  /** How the key signed, such as `rsa-sha2-512`. */
  readonly scheme: string
  readonly line?: undefined
}

export interface InspectedKrl {
  readonly kind: 'krl'
  readonly format: 'krl'
  readonly public?: undefined
  readonly krl: Krl
  readonly line?: undefined
}

/** A key of SSH-1: described, and of no use. */
export interface InspectedSsh1 extends Ssh1Facts {
  readonly public?: undefined
  readonly kdf?: never
  readonly line?: undefined
}

/** A DNS record of a host key: its fingerprint. */
export interface InspectedSshfp extends SshfpFacts {
  readonly public?: undefined
  readonly line?: undefined
}

/** What a file holds, without any passphrase: one of these for each key, line, signature or list. */
export type Inspected =
  | InspectedPrivate
  | InspectedPublic
  | InspectedCertificate
  | InspectedAuthorizedKey
  | InspectedKnownHost
  | InspectedSignature
  | InspectedKrl
  | InspectedSsh1
  | InspectedSshfp

/** A key on its own, or a certificate. Throws `damaged` or `unsupported`. */
export function inspectPublic(key: PublicKey, format: string, line?: number): InspectedPublic | InspectedCertificate {
  const where = line === undefined ? {} : { line }
  const certificate = readCertificate(key)
  if (!certificate) return { kind: 'public', format, public: key, ...where }
  return { kind: 'certificate', format, public: key, certificate, ...where }
}
