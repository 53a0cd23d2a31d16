import { createHash } from 'node:crypto'
import { damagedAt, KeytoolError } from '../../error.js'
import type { PublicKey } from '../../key.js'
import type { PublicFormat } from '../format.js'
import { beginsWithRecord, readRecords, type ZoneRecord } from './zone.js'

/** IANA's numbers of key types (RFC 4255, 6594, 7479, 8709), by the label that fingerprints have. */
const NUMBERS: ReadonlyMap<string, number> = new Map([
  ['RSA', 1],
  ['DSA', 2],
  ['ECDSA', 3],
  ['ED25519', 4],
  ['ED448', 6],
])
/** IANA's numbers of hashes, in the order ssh-keygen prints them. Sizes in bytes. */
const HASHES = [
  { number: 1, name: 'sha1', size: 20 },
  { number: 2, name: 'sha256', size: 32 },
] as const
/** The owner that a zone file takes for the zone's own name. */
const ORIGIN = '@'

/** What an SSHFP record says. There is no key in it, only the fingerprint of one. */
export interface SshfpFacts {
  readonly kind: 'sshfp'
  readonly format: 'sshfp'
  /** The record's owner, as it stands there. */
  readonly host: string
  /** The key's type as fingerprints name it, such as `ED25519`. Absent for a number that is not assigned. */
  readonly label?: string
  /** IANA's number of the type. */
  readonly algorithm: number
  /** `sha256` in OpenSSH's own spelling, so that it can be compared; `sha1` in hex. */
  readonly fingerprint: { readonly sha256: string } | { readonly sha1: string }
}

/**
 * SSHFP records of host keys (RFC 4255): written for `public --format sshfp`, with the zone's own name as owner. They hold
 * no key, so nothing is read from them here: {@link readSshfp} tells what they say.
 */
export const sshfp: PublicFormat & Required<Pick<PublicFormat, 'write'>> = {
  name: 'sshfp',
  title: 'SSHFP',

  detect: bytes => beginsWithRecord(bytes, ['SSHFP']),

  async read() {
    throw new KeytoolError('unsupported', 'an SSHFP record holds no key', {
      reason: "it is a key's fingerprint, which a DNS server publishes for its host",
    })
  },

  write: key => Buffer.from(sshfpRecords(key)),
}

/**
 * The records of one key, as `ssh-keygen -r HOST` prints them: SHA-1, then SHA-256.
 * @param host the records' owner, in ASCII, as a zone file has it. Default `@`, the zone's own name
 * @throws KeytoolError `unsupported` for a type without a number, certificates and tokens included; `usage` for a host that
 * would break the line
 */
export function sshfpRecords(key: PublicKey, host: string = ORIGIN): string {
  if (!/^(?:@|[A-Za-z0-9*_.-]{1,255})$/.test(host)) {
    throw new KeytoolError('usage', 'the owner of an SSHFP record is the name of a host', {
      hint: 'names in other scripts are written in their ASCII form, xn--…',
    })
  }
  const { label, type } = key.algorithm
  const number = NUMBERS.get(label)
  if (number === undefined) throw new KeytoolError('unsupported', `SSHFP records can't hold ${type} keys`)
  return HASHES.map(({ number: hash, name }) => {
    const digest = createHash(name).update(key.blob).digest('hex')
    return `${host} IN SSHFP ${number} ${hash} ${digest}\n`
  }).join('')
}

/** What the SSHFP records of a piece of a zone file say. Throws `damaged`, `unsupported` for records of other types. */
export function readSshfp(bytes: Buffer): SshfpFacts[] {
  return readRecords(bytes).map(readOne)
}

function readOne({ owner, type, data, offset }: ZoneRecord): SshfpFacts {
  if (type !== 'SSHFP') {
    throw new KeytoolError('unsupported', `a record of type ${JSON.stringify(type.slice(0, 32))} is no SSHFP record`)
  }
  const [algorithm = '', hashNumber = '', ...digits] = data
  const hash = HASHES.find(({ number }) => String(number) === hashNumber)
  if (!/^(?:0|[1-9]\d{0,2})$/.test(algorithm) || Number(algorithm) > 255) throw damaged('no number of a type', offset)
  if (!hash) {
    if (!/^\d{1,3}$/.test(hashNumber)) throw damaged('no number of a hash', offset)
    throw new KeytoolError('unsupported', `SSHFP records with the hash ${hashNumber} are not supported`)
  }
  const hex = digits.join('')
  if (hex.length !== 2 * hash.size || !/^(?:[0-9a-f]*|[0-9A-F]*)$/.test(hex)) {
    throw damaged(`no fingerprint of ${hash.size} bytes in hex`, offset)
  }
  const digest = Buffer.from(hex, 'hex')
  const label = [...NUMBERS].find(([, number]) => number === Number(algorithm))?.[0]
  return {
    kind: 'sshfp',
    format: 'sshfp',
    host: owner,
    ...(label !== undefined && { label }),
    algorithm: Number(algorithm),
    fingerprint:
      hash.name === 'sha1'
        ? { sha1: digest.toString('hex') }
        : { sha256: `SHA256:${digest.toString('base64').replace(/=+$/, '')}` },
  }
}

function damaged(what: string, offset: number): KeytoolError {
  return damagedAt(`an SSHFP record has ${what}`, offset)
}
