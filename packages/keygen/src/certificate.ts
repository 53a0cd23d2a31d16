import { type CertificateParts, certificateKinds, readOptions, readPrincipals } from './algorithms/certificate.js'
import { hasSmallOrder } from './check/small-order.js'
import { KeytoolError } from './error.js'
import { decodeComment } from './formats/comment.js'
import { matchesPattern } from './formats/lines/host-match.js'
import { decodeSignature, PublicKey, type Signature } from './key.js'
import { Reader } from './wire.js'

/** One critical option or extension. */
export interface CertificateOption {
  readonly name: string
  /** The text inside, where the data is one string of UTF-8: `force-command` has one, `permit-pty` has not. */
  readonly value?: string
  /** As it stands; empty for a flag. */
  readonly data: Buffer
}

/** What a certificate says: OpenSSH's PROTOCOL.certkeys. None of it is worth anything before {@link verifyCertificate}. */
export interface Certificate {
  readonly serial: bigint
  readonly kind: 'user' | 'host'
  /** Free text, as the authority's log knows it. */
  readonly keyId: string
  /** Whom it is for. OpenSSH accepts a certificate without any from nobody. */
  readonly principals: readonly string[]
  /** First second of its validity, from 1970; 0: always was. */
  readonly validAfter: bigint
  /** First second after its validity; {@link FOREVER}: no end. */
  readonly validBefore: bigint
  /** A reader that does not know one of these must refuse the certificate. In the order they stand. */
  readonly criticalOptions: readonly CertificateOption[]
  readonly extensions: readonly CertificateOption[]
  /** Who signed it: never a certificate itself. */
  readonly authority: PublicKey
  readonly signature: Signature
}

/** The end of a validity that has none: 2^64 - 1. */
export const FOREVER: bigint = 0xffffffffffffffffn

/**
 * What the certificate says; `undefined` when the key is a plain one.
 * @throws KeytoolError `damaged`; `unsupported` for an authority of a type not in the table
 */
export function readCertificate(key: PublicKey): Certificate | undefined {
  if (!key.algorithm.certifies) return undefined
  // The row that `certifies` has these parts beside the key's own.
  const parts = key.parts as unknown as CertificateParts
  return {
    serial: parts.serial.readBigUInt64BE(),
    kind: certificateKinds.get(parts.kind.readUInt32BE()) ?? 'user',
    keyId: decodeComment(parts.keyId),
    principals: readPrincipals(parts.principals),
    validAfter: parts.after.readBigUInt64BE(),
    validBefore: parts.before.readBigUInt64BE(),
    criticalOptions: readOptions(parts.critical).map(withValue),
    extensions: readOptions(parts.extensions).map(withValue),
    authority: readAuthority(parts.authority),
    signature: decodeSignature(parts.signature),
  }
}

/**
 * True when the authority that the certificate names has signed all of it. That it may be trusted, is meant for this host or
 * user, and is valid now, is for the caller to ask.
 *
 * SHA-1 proves nothing any more: a signature by `ssh-rsa` or `ssh-dss` is refused, as OpenSSH does since 8.2.
 * @throws KeytoolError `usage` for a key that is no certificate, `damaged` and `unsupported` as {@link readCertificate}
 */
export async function verifyCertificate(key: PublicKey): Promise<boolean> {
  const certificate = readCertificate(key)
  if (!certificate) throw new KeytoolError('usage', 'a plain key has no signature to verify')
  const { authority, signature } = certificate
  if (!isSoundlySigned(certificate)) return false
  // A point of small order accepts signatures that nobody had a key for.
  if (authority.parts['pk'] && hasSmallOrder(authority.parts['pk'])) return false
  // The signature comes last, as a string: a length, then so many bytes.
  const { length } = (key.parts as unknown as CertificateParts).signature
  return authority.verify(key.blob.subarray(0, key.blob.length - 4 - length), signature)
}

/** What a host's certificate must not be, in the order OpenSSH looks (sshkey_cert_check_host). */
const hostTroubles: readonly {
  readonly trouble: string
  has(certificate: Certificate, host: string, now: bigint): boolean
}[] = [
  { trouble: "it is a user's, not a host's", has: ({ kind }) => kind !== 'host' },
  { trouble: 'it is not valid yet', has: ({ validAfter }, _host, now) => now < validAfter },
  { trouble: 'it has expired', has: ({ validBefore }, _host, now) => now >= validBefore },
  { trouble: 'it names no host', has: ({ principals }) => principals.length === 0 },
  {
    trouble: 'it is for other hosts',
    has: ({ principals }, host) => !principals.some(pattern => matchesPattern(pattern, host)),
  },
  {
    trouble: 'it has a critical option, which hosts have none of',
    has: ({ criticalOptions }) => criticalOptions.length > 0,
  },
  { trouble: 'it is signed with SHA-1', has: certificate => !isSoundlySigned(certificate) },
]

/**
 * Why a certificate does not speak for this host at this time; `undefined` when it does. That somebody trusted has
 * signed it is another matter: see {@link verifyCertificate}.
 * @param host as its user writes it: principals are patterns of `*` and `?`, and small letters are not large ones
 * @param now in seconds from 1970
 */
export function findHostTrouble(certificate: Certificate, host: string, now: bigint): string | undefined {
  return hostTroubles.find(({ has }) => has(certificate, host, now))?.trouble
}

function isSoundlySigned({ authority, signature }: Certificate): boolean {
  const scheme = authority.algorithm.schemes.find(({ name }) => name === signature.scheme)
  return scheme !== undefined && scheme.hash !== 'sha1'
}

function readAuthority(blob: Buffer): PublicKey {
  const authority = PublicKey.fromBlob(blob)
  if (authority.algorithm.certifies) {
    throw new KeytoolError('damaged', 'the certificate is signed by a certificate, which may sign nothing')
  }
  return authority
}

function withValue({ name, data }: { name: string; data: Buffer }): CertificateOption {
  const value = textInside(data)
  return value === undefined ? { name, data } : { name, value, data }
}

function textInside(data: Buffer): string | undefined {
  try {
    const reader = new Reader(data)
    const text = reader.text()
    reader.end()
    return text
  } catch {
    return undefined
  }
}
