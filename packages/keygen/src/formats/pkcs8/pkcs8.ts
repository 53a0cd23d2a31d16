import { octetString, sequence } from '../../der.js'
import { DerReader, tags } from '../../der-reader.js'
import { KeytoolError } from '../../error.js'
import { PrivateKey } from '../../key.js'
import { defaultLimits, type Limits } from '../../protect/caps.js'
import { type Pbe, readPbe } from '../../protect/pbe.js'
import { pbes2Ciphers, sealPbes2 } from '../../protect/pbe-pbes2.js'
import type { WritableFormat } from '../format.js'
import { hasPem, holdsOnly, type PemBlock, writePem } from '../pem/armor.js'
import { lookAtDecrypted, withPemKey } from '../pem/key.js'
import { readHead, readInfo, writeInfo } from './info.js'

const PLAIN = 'PRIVATE KEY'
const ENCRYPTED = 'ENCRYPTED PRIVATE KEY'
const labels = [PLAIN, ENCRYPTED]

/** EncryptedPrivateKeyInfo, RFC 5958 section 3. */
interface Envelope {
  readonly pbe: Pbe
  readonly sealed: Buffer
}

/** PKCS#8, RFC 5958, in PEM: what OpenSSL, TLS servers and clouds take. */
export const pkcs8: WritableFormat = {
  name: 'pkcs8',
  option: 'pkcs8',
  title: 'PKCS#8',
  ciphers: pbes2Ciphers,
  tuning: ['rounds', 'kdf'],
  holds: ({ asn1 }) => asn1 !== undefined,
  keepsComment: true,

  detect: bytes => hasPem(bytes, labels),
  isAlone: bytes => holdsOnly(bytes, labels),

  inspect: bytes =>
    withPemKey(bytes, labels, block => {
      if (isPlain(block)) return { format: pkcs8.name, encrypted: false, public: readInfo(block.body, false).publicKey }
      const { pbe } = openEnvelope(block.body)
      return { format: pkcs8.name, encrypted: true, cipher: pbe.cipher, kdf: pbe.kdf }
    }),

  read: (bytes, { passphrase, limits = defaultLimits } = {}) =>
    withPemKey(bytes, labels, block =>
      isPlain(block) ? readKey(block.body, false) : readSealed(openEnvelope(block.body), passphrase, limits),
    ),

  async write(key, options = {}) {
    const { passphrase } = options
    if (passphrase?.length === 0) throw new KeytoolError('usage', 'an empty passphrase protects nothing')
    const plain = writeInfo(key, passphrase !== undefined || key.comment !== '')
    try {
      if (!passphrase) return writePem(PLAIN, plain)
      const { identifier, sealed } = await sealPbes2(plain, passphrase, options)
      return writePem(ENCRYPTED, sequence(identifier, octetString(sealed)))
    } finally {
      plain.fill(0)
    }
  },
}

function isPlain({ label, headers }: PemBlock): boolean {
  if (headers.length > 0) throw new KeytoolError('damaged', 'a PKCS#8 file has no header lines')
  return label === PLAIN
}

function openEnvelope(der: Buffer): Envelope {
  const content = new DerReader(der)
  const fields = content.sequence()
  content.end()
  const pbe = readPbe(fields)
  const sealed = fields.element(tags.octetString)
  fields.end()
  return { pbe, sealed }
}

async function readSealed(
  { pbe, sealed }: Envelope,
  passphrase: Uint8Array | undefined,
  limits: Limits,
): Promise<PrivateKey> {
  pbe.check(limits)
  if (!passphrase) throw new KeytoolError('secret-needed', 'the key is encrypted')
  const plain = await pbe.open(passphrase, sealed)
  try {
    lookAtDecrypted(() => readHead(plain))
    return await readKey(plain, true)
  } finally {
    plain.fill(0)
  }
}

async function readKey(der: Buffer, encrypted: boolean): Promise<PrivateKey> {
  const { row, parts, publicKey } = readInfo(der, encrypted)
  return PrivateKey.fromViews(row, parts, publicKey.comment)
}
