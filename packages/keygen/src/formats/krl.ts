import { damagedAt, KeytoolError } from '../error.js'
import { PublicKey } from '../key.js'
import { Reader } from '../wire.js'

const MAGIC = Buffer.from('SSHKRL\n\0', 'latin1')
const VERSION = 1
/** Of a section, in bytes: as large as the files that are read. */
const MAX_SECTION = 1 << 24
/** Of one list. OpenSSH writes a handful, and some for each authority. */
const MAX_SECTIONS = 1 << 16
/** Of a bitmap of serial numbers: OpenSSH's cap of an mpint, in bytes. */
const MAX_BITMAP = 2048

/** What is revoked of one authority's certificates. */
export interface RevokedCertificates {
  /** Absent where it is meant for every authority. */
  readonly authority?: PublicKey
  /** How many serial numbers: a range may have 2^64. */
  readonly serials: bigint
  readonly keyIds: number
}

/** A key revocation list, OpenSSH's PROTOCOL.krl: what it says of itself, and how much it revokes. */
export interface Krl {
  /** Grows with every change. */
  readonly version: bigint
  /** Seconds from 1970. */
  readonly generated: bigint
  readonly comment: string
  /** One for each section: an authority may have several. */
  readonly certificates: readonly RevokedCertificates[]
  /** Plain keys that are listed themselves, by SHA-1, by SHA-256. */
  readonly keys: number
  readonly sha1: number
  readonly sha256: number
  /** Signatures in the list itself. OpenSSH never made any, and refuses such lists since 9.4. */
  readonly signatures: number
}

/** The counts while they are counted. */
interface Counts {
  certificates: RevokedCertificates[]
  keys: number
  sha1: number
  sha256: number
  signatures: number
}

/** Counts what a section holds, to its end. The `file` is for what stands behind the section. */
type ReadSection<C> = (section: Reader, counts: C, file: Reader) => void

/** By their numbers. */
const sections: ReadonlyMap<number, ReadSection<Counts>> = new Map<number, ReadSection<Counts>>([
  [1, (section, { certificates }) => void certificates.push(readCertificates(section))],
  [2, counting('keys', countStrings)],
  [3, counting('sha1', section => countStrings(section, 20))],
  [4, readSignature],
  [5, counting('sha256', section => countStrings(section, 32))],
  [255, readExtension],
])

/** What a section of certificates counts. */
interface CertificateCounts {
  serials: bigint
  keyIds: number
}

const certificateSections: ReadonlyMap<number, ReadSection<CertificateCounts>> = new Map<
  number,
  ReadSection<CertificateCounts>
>([
  [0x20, countingSerials(countSerials)],
  [0x21, countingSerials(countRange)],
  [0x22, countingSerials(countBitmap)],
  [0x23, counting('keyIds', countStrings)],
  [0x39, readExtension],
])

/** Whether the bytes claim to be a key revocation list. Never throws. */
export function looksLikeKrl(bytes: Buffer): boolean {
  return bytes.subarray(0, MAGIC.length).equals(MAGIC)
}

/**
 * What a key revocation list says of itself, and how much it revokes.
 * @throws KeytoolError `damaged`; `unsupported` for another version, an unknown section, or an extension that is critical
 */
export function readKrl(bytes: Buffer): Krl {
  const file = new Reader(bytes)
  if (!file.bytes(MAGIC.length).equals(MAGIC)) throw damagedAt('the list does not start with "SSHKRL"', 0)
  const format = file.uint32()
  if (format !== VERSION)
    throw new KeytoolError('unsupported', `revocation lists of version ${format} are not supported`)
  const version = file.uint64()
  const generated = file.uint64()
  // Flags, of which none is defined, and a reserved string: both are to be ignored.
  file.uint64()
  file.string()
  const comment = file.text()
  const counts: Counts = { certificates: [], keys: 0, sha1: 0, sha256: 0, signatures: 0 }
  for (let count = 0; file.left > 0; count++) {
    if (count === MAX_SECTIONS) throw damagedAt('the list has more sections than any such list', file.offset)
    const read = sectionNumbered(sections, file.byte())
    const section = file.nested(MAX_SECTION)
    read(section, counts, file)
    section.end()
  }
  return { version, generated, comment, ...counts }
}

function readCertificates(section: Reader): RevokedCertificates {
  const blob = section.string()
  section.string()
  const counts: CertificateCounts = { serials: 0n, keyIds: 0 }
  while (section.left > 0) {
    const read = sectionNumbered(certificateSections, section.byte())
    const inner = section.nested(MAX_SECTION)
    read(inner, counts, section)
    inner.end()
  }
  return blob.length === 0 ? counts : { authority: PublicKey.fromBlob(blob), ...counts }
}

function sectionNumbered<T>(table: ReadonlyMap<number, T>, number: number): T {
  const row = table.get(number)
  if (row === undefined) {
    throw new KeytoolError('unsupported', `the revocation list has a section of unknown type ${number}`)
  }
  return row
}

function counting<N extends string>(name: N, count: (section: Reader) => number): ReadSection<Record<N, number>> {
  return (section, counts) => {
    counts[name] += count(section)
  }
}

function countingSerials(count: (section: Reader) => bigint): ReadSection<CertificateCounts> {
  return (section, counts) => {
    counts.serials += count(section)
  }
}

/** The section is the signature's key; the signature itself follows as a second string. */
function readSignature(section: Reader, counts: Counts, file: Reader): void {
  section.rest()
  file.string()
  counts.signatures++
}

/** One that is not critical may be passed over. */
function readExtension(section: Reader): void {
  const name = section.text()
  const critical = section.boolean()
  section.string(MAX_SECTION)
  if (critical) {
    const shown = JSON.stringify(name.slice(0, 64))
    throw new KeytoolError('unsupported', `the revocation list has a critical extension ${shown}`)
  }
}

/** @param size what each must have, in bytes */
function countStrings(section: Reader, size?: number): number {
  let count = 0
  for (; section.left > 0; count++) {
    const { offset } = section
    const { length } = section.string()
    if (length === 0 || (size !== undefined && length !== size)) {
      throw damagedAt(`an entry has ${length} bytes${size === undefined ? '' : ` instead of ${size}`}`, offset)
    }
  }
  return count
}

function countSerials(section: Reader): bigint {
  let count = 0n
  for (; section.left > 0; count++) section.uint64()
  return count
}

function countRange(section: Reader): bigint {
  const { offset } = section
  const [first, last] = [section.uint64(), section.uint64()]
  if (last < first) throw damagedAt('a range of serial numbers ends before it begins', offset)
  return last - first + 1n
}

/** The bits set in an mpint, which stand for serial numbers from an offset on. */
function countBitmap(section: Reader): bigint {
  const { offset } = section
  section.uint64()
  const bitmap = section.mpint()
  if (bitmap.length > MAX_BITMAP) throw damagedAt(`a bitmap has ${bitmap.length} bytes`, offset)
  let count = 0n
  for (const byte of bitmap) for (let rest = byte; rest > 0; rest &= rest - 1) count++
  return count
}
