import { KeytoolError } from '../error.js'
import type { PrivateKey, PublicKey } from '../key.js'
import type { KeyFacts, KeyFormat, ReadOptions } from './format.js'
import { openssh } from './openssh.js'
import { ppk3 } from './ppk.js'
import { looksLikePublicLines, readPublicLines } from './public-line.js'

/** Every format of private key files. */
export const keyFormats: readonly KeyFormat[] = [openssh, ppk3]

/** Formats that are recognised, so that the answer is better than "not a key". */
const recognised: readonly { begins: RegExp; title: string }[] = [
  { begins: /^-----BEGIN (RSA |EC |DSA )PRIVATE KEY-----/, title: 'PEM private keys' },
  { begins: /^-----BEGIN (ENCRYPTED )?PRIVATE KEY-----/, title: 'PKCS#8 private keys' },
  { begins: /^---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----/, title: 'ssh.com private keys' },
  { begins: /^---- BEGIN SSH2 PUBLIC KEY ----/, title: 'RFC 4716 public keys' },
  { begins: /^-----BEGIN (RSA )?PUBLIC KEY-----/, title: 'PEM public keys' },
  { begins: /^SSH PRIVATE KEY FILE FORMAT 1\.1/, title: 'SSH-1 keys' },
]

/** What a file of keys holds, without any passphrase. */
export type Inspected =
  | ({ readonly kind: 'private' } & KeyFacts)
  | { readonly kind: 'public'; readonly format: 'openssh'; readonly public: PublicKey }

/** The format `convert --to` names. Throws `usage`. */
export function formatOfOption(option: string): KeyFormat {
  const format = keyFormats.find(row => row.option === option)
  if (!format) {
    throw new KeytoolError('usage', `${JSON.stringify(option)} is no format keytool writes`, {
      hint: `one of: ${keyFormats.map(row => row.option).join(', ')}`,
    })
  }
  return format
}

/** The private format these bytes claim. Throws `damaged` or `unsupported` when there is none. */
export function detectFormat(bytes: Buffer): KeyFormat {
  const format = keyFormats.find(row => row.detect(bytes))
  if (!format) throw notRecognised(bytes)
  return format
}

/** Every key in a file, private or public. Never decrypts. Throws `damaged` or `unsupported`. */
export function inspectKeys(bytes: Buffer): Inspected[] {
  const format = keyFormats.find(row => row.detect(bytes))
  if (format) return [{ kind: 'private', ...format.inspect(bytes) }]
  if (!looksLikePublicLines(bytes)) throw notRecognised(bytes)
  return readPublicLines(bytes).map(key => ({ kind: 'public', format: 'openssh', public: key }))
}

/** Like {@link detectFormat}, but says so when it is a public key. */
export function detectPrivate(bytes: Buffer): KeyFormat {
  const format = keyFormats.find(row => row.detect(bytes))
  if (!format && looksLikePublicLines(bytes)) {
    throw new KeytoolError('unsupported', 'that is a public key; the private one is needed here')
  }
  return format ?? detectFormat(bytes)
}

/** A private key from a file of any known format. Throws `secret-needed`, `secret-wrong`, `damaged`, `unsupported`. */
export async function readPrivateKey(bytes: Buffer, options?: ReadOptions): Promise<PrivateKey> {
  return detectPrivate(bytes).read(bytes, options)
}

function notRecognised(bytes: Buffer): KeytoolError {
  if (bytes.length === 0) return new KeytoolError('damaged', 'the file is empty')
  const start = bytes.subarray(0, 4096).toString('latin1').trimStart()
  const known = recognised.find(({ begins }) => begins.test(start))
  if (known) return new KeytoolError('unsupported', `${known.title} are not supported yet`)
  return new KeytoolError('damaged', 'no key in any known format (at byte 0)', { offset: 0 })
}
