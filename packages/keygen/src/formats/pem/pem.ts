import type { Algorithm, Parts } from '../../algorithms/algorithm.js'
import type { TraditionalForm } from '../../algorithms/asn1/form.js'
import {
  formOf,
  type TraditionalAlgorithm,
  traditionalLabels,
  traditionalRows,
} from '../../algorithms/asn1/identifier.js'
import { DerReader } from '../../der-reader.js'
import { KeytoolError } from '../../error.js'
import { PrivateKey, PublicKey } from '../../key.js'
import { type DekInfo, decryptDek, dekCiphers, encryptDek, makeDekInfo, readDekInfo } from '../../protect/dek-info.js'
import type { WritableFormat } from '../format.js'
import { hasPem, holdsOnly, type PemBlock, writePem } from './armor.js'
import { lookAtDecrypted, withPemKey } from './key.js'

/**
 * The PEM files that OpenSSL wrote before PKCS#8 and OpenSSH before its own format: PKCS#1 for RSA, SEC1 for ECDSA,
 * OpenSSL's own for DSA; encrypted by RFC 1421's header lines. They keep no comment, and their KDF is one round of MD5.
 */
export const pem: WritableFormat = {
  name: 'pem',
  option: 'pem',
  title: 'PEM',
  ciphers: dekCiphers,
  holds: ({ asn1 }) => asn1?.traditional !== undefined,
  keepsComment: false,

  detect: bytes => hasPem(bytes, traditionalLabels()),
  isAlone: bytes => holdsOnly(bytes, traditionalLabels()),

  inspect: bytes =>
    withPemKey(bytes, traditionalLabels(), ({ label, headers, body }) => {
      const dek = readDekInfo(headers)
      if (!dek) {
        const { row, parts } = readParts(label, body)
        return { format: pem.name, encrypted: false, public: PublicKey.fromParts(row, parts) }
      }
      const rows = traditionalRows(label)
      return {
        format: pem.name,
        encrypted: true,
        cipher: dek.cipher.name,
        kdf: { name: 'md5' },
        // Of ECDSA the label tells the family only; the curve is inside.
        ...(rows.length === 1 && rows[0] && { type: rows[0].name }),
      }
    }),

  read: (bytes, { passphrase } = {}) =>
    withPemKey(bytes, traditionalLabels(), block => {
      const dek = readDekInfo(block.headers)
      return dek ? readSealed(block, dek, passphrase) : readKey(block.label, block.body)
    }),

  async write(key, { passphrase, cipher } = {}) {
    if (passphrase?.length === 0) throw new KeytoolError('usage', 'an empty passphrase protects nothing')
    const { label, write } = layoutOf(key)
    const plain = write(key.parts)
    try {
      if (!passphrase) return writePem(label, plain)
      const dek = makeDekInfo(cipher)
      return writePem(label, encryptDek(dek, passphrase, plain), dek.headers)
    } finally {
      plain.fill(0)
    }
  },
}

async function readSealed({ label, body }: PemBlock, dek: DekInfo, passphrase?: Uint8Array): Promise<PrivateKey> {
  if (!passphrase) throw new KeytoolError('secret-needed', 'the key is encrypted')
  const plain = decryptDek(dek, passphrase, body)
  try {
    lookAtDecrypted(() => {
      const content = new DerReader(plain)
      content.sequence().number()
      content.end()
    })
    return await readKey(label, plain)
  } finally {
    plain.fill(0)
  }
}

async function readKey(label: string, der: Buffer): Promise<PrivateKey> {
  const { row, parts } = readParts(label, der)
  return PrivateKey.fromViews(row, parts, '')
}

function readParts(label: string, der: Buffer): { row: Algorithm; parts: Parts } {
  const row = rowOf(label, der)
  const content = new DerReader(der)
  const parts = row.asn1.traditional.read(content)
  content.end()
  return { row, parts }
}

/** Rows that share a label differ in their curve, which stands inside. */
function rowOf(label: string, der: Buffer): TraditionalAlgorithm {
  const rows = traditionalRows(label)
  const [first] = rows
  const parameters = first?.asn1.traditional.parameters?.(new DerReader(der))
  const row = parameters ? rows.find(({ asn1 }) => asn1.owns(parameters)) : first
  if (row) return row
  throw new KeytoolError('unsupported', 'the curve of the ECDSA key is none of those that SSH has')
}

function layoutOf({ algorithm: { name, type } }: PrivateKey): TraditionalForm {
  const form = formOf(name)?.asn1
  if (form?.traditional) return form.traditional
  throw new KeytoolError('unsupported', `PEM files of the traditional kind can't hold ${type} keys`, {
    ...(form && { hint: 'PKCS#8 files can' }),
  })
}
