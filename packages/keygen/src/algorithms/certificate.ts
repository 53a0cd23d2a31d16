import { KeytoolError } from '../error.js'
import { blob, type Field, struct } from '../fields.js'
import { Reader } from '../wire.js'
import type { Algorithm, PublicAlgorithm } from './algorithm.js'

/** What a certificate says about its key, as bytes: PROTOCOL.certkeys. */
export type CertificateParts = {
  nonce: Buffer
  serial: Buffer
  kind: Buffer
  keyId: Buffer
  principals: Buffer
  after: Buffer
  before: Buffer
  critical: Buffer
  extensions: Buffer
  reserved: Buffer
  authority: Buffer
  signature: Buffer
}

/** The numbers of the kinds. */
export const certificateKinds: ReadonlyMap<number, 'user' | 'host'> = new Map([
  [1, 'user'],
  [2, 'host'],
])

/** OpenSSH's SSHKEY_CERT_MAX_PRINCIPALS. */
const MAX_PRINCIPALS = 256

const nonce = struct({ nonce: blob })
const claims = struct({
  serial: bytes(8),
  kind: bytes(4),
  keyId: blob,
  principals: blob,
  after: bytes(8),
  before: bytes(8),
  critical: blob,
  extensions: blob,
  reserved: blob,
  authority: blob,
  signature: blob,
})

/** `sk-ssh-ed25519@openssh.com` becomes `sk-ssh-ed25519-cert-v01@openssh.com`. */
function certificateName({ name, certificateName: own }: Algorithm): string {
  return own ?? `${name.replace(/@openssh\.com$/, '')}-cert-v01@openssh.com`
}

/** The row of the certificates of `plain`'s keys: nonce, the key's own fields, then the claims and the authority's signature. */
export function certificatesOf(plain: Algorithm): PublicAlgorithm<CertificateParts> {
  return {
    name: certificateName(plain),
    type: `${plain.type}-cert`,
    label: `${plain.label}-CERT`,
    certifies: plain,
    publicFields: {
      read: r => ({ ...nonce.read(r), ...plain.publicFields.read(r), ...claims.read(r) }),
      write: (w, value) => {
        nonce.write(w, value)
        plain.publicFields.write(w, value)
        claims.write(w, value)
      },
    },
    schemes: plain.schemes,
    bits: key => plain.bits(key),
    checkPublic(key) {
      plain.checkPublic(key)
      checkClaims(key)
    },
    verifier: key => plain.verifier(key),
  }
}

/** The names in a packed list, read to its end. Throws `damaged`. */
export function readPrincipals(packed: Buffer): string[] {
  const reader = new Reader(packed)
  const names: string[] = []
  while (reader.left > 0) {
    if (names.length === MAX_PRINCIPALS) throw damaged(`a certificate has more than ${MAX_PRINCIPALS} principals`)
    names.push(readName(reader, 'a principal'))
  }
  return names
}

/**
 * A packed list of named options, in their order. OpenSSH does not insist on the order that the format asks for, nor does
 * this; but a name that comes twice would mean one thing to one reader and another to the next. Throws `damaged`.
 */
export function readOptions(packed: Buffer): { name: string; data: Buffer }[] {
  const reader = new Reader(packed)
  const found = new Map<string, Buffer>()
  while (reader.left > 0) {
    const name = readName(reader, "an option's name")
    if (found.has(name)) throw damaged(`a certificate names ${JSON.stringify(name.slice(0, 64))} twice`)
    found.set(name, reader.string())
  }
  return Array.from(found, ([name, data]) => ({ name, data }))
}

/** What OpenSSH checks before it looks at the signature. */
function checkClaims({ kind, keyId, principals, critical, extensions }: CertificateParts): void {
  const number = kind.readUInt32BE()
  if (!certificateKinds.has(number)) {
    throw new KeytoolError('unsupported', `a certificate of kind ${number} is neither a user's nor a host's`)
  }
  if (keyId.includes(0)) throw damaged('the key id of a certificate holds a NUL byte')
  readPrincipals(principals)
  readOptions(critical)
  readOptions(extensions)
}

function readName(reader: Reader, what: string): string {
  const name = reader.text()
  if (name.includes('\0')) throw damaged(`${what} holds a NUL byte`)
  return name
}

function damaged(message: string): KeytoolError {
  return new KeytoolError('damaged', message)
}

/** So many bytes as they stand. */
function bytes(length: number): Field<Buffer> {
  return { read: r => r.bytes(length), write: (w, v) => void w.bytes(v) }
}
