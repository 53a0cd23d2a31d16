import { isUtf8 } from 'node:buffer'
import { PublicKey, publicAlgorithms, Reader } from '@keytool/keygen'

/** What a signature is asked for, as far as the data says so. */
export type Purpose =
  | {
      /** A login: RFC 4252 section 7, or `publickey-hostbound-v00@openssh.com`. */
      readonly kind: 'login'
      readonly sessionId: Buffer
      readonly user: string
      /** The host's key that the login is bound to; only in the hostbound form. */
      readonly hostKey?: PublicKey
      /** The login shows a certificate of the key, which the client has and the agent was not given. */
      readonly certified?: true
    }
  | {
      /** A file or a commit: PROTOCOL.sshsig. */
      readonly kind: 'sshsig'
      readonly namespace: string
    }
  | { readonly kind: 'unknown' }

const UNKNOWN: Purpose = { kind: 'unknown' }

/**
 * What the data to be signed are. They are a login or an SSHSIG only where all of them is, to the last byte: whatever else
 * might be read into them is `unknown`. Never throws.
 * @param key blob of the key, or the certificate, that is to sign
 */
export function readPurpose(data: Buffer, key: Buffer): Purpose {
  try {
    return (data.subarray(0, MAGIC.length).equals(MAGIC) ? readSshsig(data) : readLogin(data, key)) ?? UNKNOWN
  } catch {
    return UNKNOWN
  }
}

const USERAUTH_REQUEST = 50
const SERVICE = Buffer.from('ssh-connection')
const PLAIN = Buffer.from('publickey')
const HOSTBOUND = Buffer.from('publickey-hostbound-v00@openssh.com')

/** RFC 4252 section 7, with the host's key behind it where OpenSSH binds it: parse_userauth_request in ssh-agent.c. */
function readLogin(data: Buffer, key: Buffer): Purpose | undefined {
  const reader = new Reader(data)
  const sessionId = reader.string()
  if (sessionId.length === 0 || reader.byte() !== USERAUTH_REQUEST) return undefined
  const user = readName(reader)
  if (user === undefined || !reader.string().equals(SERVICE)) return undefined
  const method = reader.string()
  const isHostbound = method.equals(HOSTBOUND)
  if (!isHostbound && !method.equals(PLAIN)) return undefined
  if (reader.byte() !== 1) return undefined
  const algorithm = reader.string()
  const shown = reader.string()
  const isKey = shown.equals(key)
  if (!fits(algorithm, shown) || !(isKey || isCertificateOf(key, shown))) return undefined
  const login = { kind: 'login', sessionId, user, ...(isKey ? {} : { certified: true as const }) } as const
  const purpose = isHostbound ? { ...login, hostKey: readHostKey(reader.string()) } : login
  return reader.left === 0 ? purpose : undefined
}

/** UTF-8 without a zero byte. */
function readName(reader: Reader): string | undefined {
  const bytes = reader.string()
  return isUtf8(bytes) && !bytes.includes(0) ? bytes.toString() : undefined
}

/** What ssh shows with CertificateFile while its agent holds the bare key: it asks for a signature of that. */
function isCertificateOf(key: Buffer, shown: Buffer): boolean {
  const certificate = PublicKey.fromBlob(shown)
  return certificate.algorithm.certifies !== undefined && certificate.plain.blob.equals(key)
}

const CERTIFICATE = '-cert-v01@openssh.com'

/** By a key type's name: what a login may name instead as its algorithm (RFC 8332 section 3; with certificates OpenSSH). */
const otherNames: ReadonlyMap<string, readonly string[]> = new Map(
  publicAlgorithms.map(({ name, certifies, schemes }) => [
    name,
    schemes.map(scheme => (certifies ? scheme.name + CERTIFICATE : scheme.name)),
  ]),
)

/** Whether the algorithm is one by which this key signs: its own name, as for all but RSA, or one of the others. */
function fits(algorithm: Buffer, key: Buffer): boolean {
  const type = new Reader(key).string()
  return algorithm.equals(type) || (otherNames.get(type.toString())?.includes(algorithm.toString()) ?? false)
}

/**
 * Hosts' keys seen of late, by their blobs: reading one takes as long as a signature, and a host is logged in to more
 * than once. Larger blobs are none that a server has.
 */
const hostKeys = new Map<string, PublicKey>()
const REMEMBERED = { keys: 64, bytes: 4096 }

function readHostKey(blob: Buffer): PublicKey {
  const name = blob.toString('latin1')
  const known = hostKeys.get(name)
  if (known) return known
  // It counts only where it is a session's, which was checked.
  const key = PublicKey.fromBlob(blob, '', 'later')
  if (blob.length > REMEMBERED.bytes) return key
  if (hostKeys.size === REMEMBERED.keys) hostKeys.clear()
  hostKeys.set(name, key)
  return key
}

const MAGIC = Buffer.from('SSHSIG')
/** Hashes that a message may be hashed with, and their lengths in bytes. */
const hashLengths: ReadonlyMap<string, number> = new Map([
  ['sha256', 32],
  ['sha512', 64],
])

/** PROTOCOL.sshsig section 3: what is signed instead of the message. */
function readSshsig(data: Buffer): Purpose | undefined {
  const reader = new Reader(data)
  reader.bytes(MAGIC.length)
  const namespace = readName(reader)
  // Reserved: to be ignored, whatever it holds.
  reader.string()
  const length = hashLengths.get(reader.string().toString())
  if (!namespace || reader.string().length !== length || reader.left > 0) return undefined
  return { kind: 'sshsig', namespace }
}
