import type { Algorithm } from '../../algorithms/algorithm.js'
import { ed448, ed25519 } from '../../algorithms/eddsa.js'
import { damagedAt, KeytoolError } from '../../error.js'
import { PublicKey } from '../../key.js'
import { decodeBase64 } from '../armor.js'
import type { PublicFormat } from '../format.js'
import { plainComment } from './comment.js'
import { readBySshpk } from './sshpk.js'
import { beginsWithRecord, readRecords, type ZoneRecord } from './zone.js'

const TYPES = ['DNSKEY', 'KEY']
/** RFC 4034 section 2.1.2: it has this value. */
const PROTOCOL = '3'

/** How the key of one of IANA's DNSSEC algorithms is read. */
type Read = (owner: string, data: Buffer) => Promise<PublicKey>

/** IANA's DNSSEC algorithm numbers, those whose keys SSH can have. */
const READERS: ReadonlyMap<string, Read> = new Map<string, Read>([
  // RSA with four hashes: the key is the same for all (RFC 3110 section 2, RFC 5155, RFC 5702).
  ...['5', '7', '8', '10'].map(number => [number, throughSshpk('8', data => data)] as const),
  // RFC 6605 section 4 leaves out the byte that says "uncompressed"; sshpk wants it.
  ['13', throughSshpk('13', data => Buffer.concat([Buffer.of(4), data]))],
  ['14', throughSshpk('14', data => Buffer.concat([Buffer.of(4), data]))],
  // RFC 8080 section 3: the bare key. sshpk does not know these two.
  ['15', bare(ed25519)],
  ['16', bare(ed448)],
])

/** DNSKEY records (RFC 4034 section 2), and KEY records, which are laid out alike. The comment is the owner's name. */
export const dnskey: PublicFormat = {
  name: 'dnskey',
  title: 'DNSKEY',

  detect: bytes => beginsWithRecord(bytes, TYPES),

  async read(bytes) {
    const keys: PublicKey[] = []
    for (const record of readRecords(bytes)) keys.push(await readOne(record))
    return keys
  },
}

async function readOne({ owner, type, data, offset }: ZoneRecord): Promise<PublicKey> {
  if (!TYPES.includes(type)) {
    throw new KeytoolError('unsupported', `a record of type ${JSON.stringify(type.slice(0, 32))} holds no key`)
  }
  const [flags = '', protocol = '', algorithm = '', ...base64] = data
  if (!/^\d{1,5}$/.test(flags) || Number(flags) > 0xffff || protocol !== PROTOCOL || !/^\d{1,3}$/.test(algorithm)) {
    throw damagedAt('a record of a key begins with no flags, protocol 3, algorithm', offset)
  }
  const read = READERS.get(algorithm)
  if (!read) throw new KeytoolError('unsupported', `DNSSEC keys of algorithm ${algorithm} are not supported`)
  return read(owner, decodeBase64(base64.join(''), offset))
}

/** @param number of the algorithm that sshpk takes for it */
function throughSshpk(number: string, adapt: (data: Buffer) => Buffer): Read {
  return (owner, data) =>
    readBySshpk('the DNSSEC key', ({ parseKey }) => ({
      // sshpk wants the owner absolute, no TTL, and an empty last line.
      blob: parseKey(`key. IN DNSKEY 256 3 ${number} ${adapt(data).toString('base64')}\n`, 'dnssec').toBuffer(
        'rfc4253',
      ),
      comment: plainComment(owner),
    }))
}

function bare(algorithm: Pick<Algorithm, 'name'> & typeof ed25519): Read {
  return async (owner, data) => PublicKey.fromParts(algorithm, { pk: data }, plainComment(owner))
}
