import {
  type Certificate,
  findHostTrouble,
  fingerprint,
  KeytoolError,
  nameOfHost,
  PublicKey,
  readCertificate,
  typeOfBlob,
  verifyCertificate,
} from '@keytool/keygen'
import { type Entry, matching, type Place } from './entries.js'
import { removalOf } from './removal.js'

/** What the files say about a host's key. Only `known` is good. */
export type Lookup =
  | {
      readonly state: 'known'
      readonly place: Place
      /** By the authority of its certificate, whose line that is. */
      readonly byAuthority: boolean
      /**
       * Whether the server may change its keys by itself (OpenSSH's UpdateHostKeys): the key stands in a file of the user's
       * own, as a key and not as an authority, under this very name with its port.
       */
      readonly mayRotate: boolean
    }
  | {
      readonly state: 'unknown'
      /** Names in the clear under which this very key is known. */
      readonly otherNames: readonly string[]
      /** Why the certificate it shows does not count, where there is an authority for this host. */
      readonly certificateTrouble?: string
    }
  | {
      readonly state: 'changed'
      readonly place: Place
      readonly keyType: string
      readonly fingerprint: string
      /** Whether removing the name is enough: not for a line that fits by a pattern, or of the system's. */
      readonly isRemovable: boolean
      readonly certificateTrouble?: string
    }
  | { readonly state: 'revoked'; readonly place: Place; readonly fingerprint: string }

/** What else certificates are held against. */
export interface Rules {
  /** In seconds from 1970. */
  readonly now: bigint
  /** What an authority may sign with, as `rsa-sha2-512` (ssh's CASignatureAlgorithms). Default: all but SHA-1. */
  readonly schemes?: readonly string[] | undefined
}

/** What a server shows: a key, or a certificate with one in it. */
interface Shown {
  /** The key without its certificate. */
  readonly plain: Buffer
  readonly certified?: { readonly key: PublicKey; readonly certificate: Certificate }
}

/**
 * What these lines say, as OpenSSH does it (check_host_key in sshconnect.c): a certificate by its authority, else by the key
 * in it. A line without a port is good for every port where none has it, but nothing is noted by it. Stricter than there: a
 * key that is revoked under the name without the port is revoked.
 * @throws KeytoolError `damaged`, `unsupported` for a certificate that can't be read or is not signed by its authority
 */
export async function judge(
  entries: readonly Entry[],
  host: string,
  port: number,
  blob: Buffer,
  { now, schemes }: Rules,
): Promise<Lookup> {
  const named = matching(entries, nameOfHost(host, port))
  const bare = port === 22 ? [] : matching(entries, nameOfHost(host, 22))
  const shown = readShown(blob)
  const revoked = findRevoked([...named, ...bare], shown)
  if (revoked) return { state: 'revoked', place: revoked.place, fingerprint: fingerprint(revoked) }

  const voucher = findAuthority(named, bare, shown)
  const trouble = voucher && shown.certified && (await findTrouble(shown.certified, host, { now, schemes }))
  if (voucher && trouble === undefined) {
    return { state: 'known', place: voucher.place, byAuthority: true, mayRotate: false }
  }
  const why = trouble === undefined ? {} : { certificateTrouble: trouble }
  const plain = named.filter(isPlain)
  const same = plain.find(entry => entry.blob.equals(shown.plain))
  if (same) return { state: 'known', place: same.place, byAuthority: false, mayRotate: same.isOwn }
  // Of several the one of the same type: that is the one the user knows.
  const other = plain.find(({ keyType }) => keyType === typeOfBlob(shown.plain)) ?? plain[0]
  if (other) {
    const { place, keyType, isOwn, hosts } = other
    const isRemovable = isOwn && removalOf(hosts, nameOfHost(host, port)) !== 'none'
    return { state: 'changed', place, keyType, fingerprint: fingerprint(other), isRemovable, ...why }
  }
  const without = bare.find(entry => isPlain(entry) && entry.blob.equals(shown.plain))
  if (without) return { state: 'known', place: without.place, byAuthority: false, mayRotate: false }
  return { state: 'unknown', otherNames: namesOf(entries, shown.plain), ...why }
}

/** The lines of authorities that count for a host: those without the port only where none has it. */
export function authoritiesIn(entries: readonly Entry[], host: string, port: number): Entry[] {
  const named = matching(entries, nameOfHost(host, port)).filter(isAuthority)
  return named.length > 0 || port === 22 ? named : matching(entries, nameOfHost(host, 22)).filter(isAuthority)
}

/** The same for plain keys. */
export function keysIn(entries: readonly Entry[], host: string, port: number): Entry[] {
  const named = matching(entries, nameOfHost(host, port)).filter(isPlain)
  return named.length > 0 || port === 22 ? named : matching(entries, nameOfHost(host, 22)).filter(isPlain)
}

function readShown(blob: Buffer): Shown {
  // Of a plain key the bytes are all that counts.
  if (!typeOfBlob(blob)?.endsWith('-cert-v01@openssh.com')) return { plain: blob }
  const key = PublicKey.fromBlob(blob)
  const certificate = readCertificate(key)
  return certificate ? { plain: key.plain.blob, certified: { key, certificate } } : { plain: blob }
}

/** A key is revoked by itself, or with the authority that certifies it. */
function findRevoked(about: readonly Entry[], shown: Shown): Entry | undefined {
  return about.find(entry => entry.marker === 'revoked' && isRevokedBy(shown, entry.blob))
}

function isRevokedBy({ plain, certified }: Shown, revoked: Buffer): boolean {
  const blobs = certified ? [plain, certified.certificate.authority.blob] : [plain]
  return blobs.some(blob => blob.equals(plainOf(revoked)))
}

/** Whether one of these is what the server shows, or the authority that certifies that. */
export function findShown<T extends { readonly blob: Buffer }>(blob: Buffer, revoked: readonly T[]): T | undefined {
  const shown = readShown(blob)
  return revoked.find(each => isRevokedBy(shown, each.blob))
}

/** Who revokes a certificate means the key in it. */
function plainOf(blob: Buffer): Buffer {
  try {
    return readShown(blob).plain
  } catch {
    return blob
  }
}

function findAuthority(named: readonly Entry[], bare: readonly Entry[], { certified }: Shown): Entry | undefined {
  if (!certified) return undefined
  const { blob } = certified.certificate.authority
  const candidates = named.some(isAuthority) ? named : bare
  return candidates.find(entry => isAuthority(entry) && entry.blob.equals(blob))
}

async function findTrouble(
  { key, certificate }: NonNullable<Shown['certified']>,
  host: string,
  { now, schemes }: Rules,
): Promise<string | undefined> {
  // ssh compares the name in small letters with the principals as they are.
  const trouble = findHostTrouble(certificate, host.toLowerCase(), now)
  if (trouble !== undefined) return trouble
  const { scheme } = certificate.signature
  if (schemes && !schemes.includes(scheme)) return `CASignatureAlgorithms leaves out what it is signed with: ${scheme}`
  if (await verifyCertificate(key)) return undefined
  throw new KeytoolError('damaged', 'the certificate the server shows is not signed by the authority it names')
}

function isPlain({ marker }: Entry): boolean {
  return marker === undefined
}

function isAuthority({ marker }: Entry): boolean {
  return marker === 'cert-authority'
}

function namesOf(entries: readonly Entry[], blob: Buffer): string[] {
  return entries
    .filter(entry => isPlain(entry) && entry.blob.equals(blob))
    .flatMap(({ hosts }) => ('patterns' in hosts ? hosts.patterns : []))
}
