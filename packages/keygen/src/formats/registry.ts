import { algorithms } from '../algorithms/table.js'
import { KeytoolError } from '../error.js'
import type { PrivateKey } from '../key.js'
import { dnskey } from './foreign/dnskey.js'
import { sshfp } from './foreign/sshfp.js'
import { x509 } from './foreign/x509.js'
import type { KeyFormat, PublicFormat, ReadOptions, WritableFormat } from './format.js'
import { jwk, jwkPublic } from './jwk/jwk.js'
import { opensshPublic } from './lines/public.js'
import { openssh } from './openssh.js'
import { pem } from './pem/pem.js'
import { pkcs1 } from './pem/pkcs1.js'
import { spki } from './pem/spki.js'
import { pkcs8 } from './pkcs8/pkcs8.js'
import { ppk1, ppk2, ppk3 } from './ppk/ppk.js'
import { ssh1, ssh1Public } from './ssh1.js'
import { rfc4716 } from './sshcom/rfc4716.js'
import { sshcom } from './sshcom/sshcom.js'

/** Every format of private key files. */
export const keyFormats: readonly KeyFormat[] = [openssh, ppk3, ppk2, ppk1, pem, pkcs8, sshcom, jwk, ssh1]

/** Every format of public keys. The line comes last: it has no beginning that could be told from anything else's. */
export const publicFormats: readonly PublicFormat[] = [
  rfc4716,
  spki,
  pkcs1,
  jwkPublic,
  x509,
  sshfp,
  dnskey,
  ssh1Public,
  opensshPublic,
]

/** The format `convert --to` names. Throws `usage`. */
export function formatOfOption(option: string): WritableFormat {
  const options = keyFormats.filter(isWritable)
  const format = options.find(row => row.option === option)
  if (format) return format
  throw new KeytoolError('usage', `${JSON.stringify(option)} is no format keytool writes`, {
    hint: `one of: ${options.map(row => row.option).join(', ')}`,
  })
}

/** The format `public --format` names. Throws `usage`. */
export function publicFormatOfOption(option: string): PublicFormat & Required<Pick<PublicFormat, 'write'>> {
  const writable = publicFormats.filter(isWritablePublic)
  const format = writable.find(({ name }) => name === option)
  if (format) return format
  throw new KeytoolError('usage', `${JSON.stringify(option)} is no format that public keys are written in`, {
    hint: `one of: ${writable.map(({ name }) => name).join(', ')}`,
  })
}

/** The private format these bytes claim. Throws `damaged` or `unsupported` when there is none, and says so of a public key. */
export function detectPrivate(bytes: Buffer): KeyFormat {
  const format = keyFormats.find(row => row.detect(bytes))
  if (format) return format
  if (publicFormats.some(row => row.detect(bytes))) {
    throw new KeytoolError('unsupported', 'that is a public key; the private one is needed here')
  }
  throw notRecognised(bytes)
}

/** A private key from a file of any known format. Rejects with `secret-needed`, `secret-wrong`, `damaged`, `unsupported`. */
export async function readPrivateKey(bytes: Buffer, options?: ReadOptions): Promise<PrivateKey> {
  return detectPrivate(bytes).read(bytes, options)
}

/** Whether the bytes begin like a key of any format, whole or not. Never throws. */
export function looksLikeKey(bytes: Buffer): boolean {
  return [...keyFormats, ...publicFormats].some(row => row.detect(bytes))
}

/** What is said of bytes that no format claims. */
export function notRecognised(bytes: Buffer): KeytoolError {
  if (bytes.length === 0) return new KeytoolError('damaged', 'the file is empty')
  return new KeytoolError('damaged', 'no key in any known format (at byte 0)', { offset: 0 })
}

/** The format, if it can be written. Throws `unsupported`. */
export function writable(format: KeyFormat): WritableFormat {
  if (isWritable(format)) return format
  const isOfUse = algorithms.some(row => format.holds(row))
  throw new KeytoolError('unsupported', `${format.title} files are ${isOfUse ? 'only read' : 'of no use any more'}`, {
    reason: 'nothing was changed',
    ...(isOfUse && { hint: 'keytool convert turns it into a format that can be written' }),
  })
}

function isWritable(format: KeyFormat): format is WritableFormat {
  return format.write !== undefined && format.option !== undefined
}

function isWritablePublic(format: PublicFormat): format is PublicFormat & Required<Pick<PublicFormat, 'write'>> {
  return format.write !== undefined
}
