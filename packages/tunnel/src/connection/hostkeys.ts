import { fingerprint, isKeytoolError, KeytoolError, nameOfHost, PublicKey, showForeign } from '@keytool/keygen'
import type { KnownHosts, Lookup } from '../known-hosts/store.js'

/** What the user is asked about a host nobody knows yet. */
export interface UnknownHost {
  readonly host: string
  readonly port: number
  /** Without its certificate, if it showed one. */
  readonly key: PublicKey
  /** `SHA256:…` */
  readonly fingerprint: string
  /** Other names this very key is known by; foreign text, escaped. */
  readonly otherNames: readonly string[]
  /** Why its certificate does not count, where an authority is known for this host: it has expired, say. */
  readonly certificateTrouble?: string
}

/** True for yes. May throw a KeytoolError, such as `cancelled`. */
export type ConfirmHost = (host: UnknownHost) => Promise<boolean>

/**
 * What becomes of a host that is not known yet (ssh's StrictHostKeyChecking): `yes` refuses it, `ask` asks, `accept-new` notes
 * it unasked. `no` is taken for `accept-new`: a key that has changed is refused under each of them.
 */
export type StrictHostKeyChecking = 'yes' | 'ask' | 'accept-new' | 'no'

export interface HostPolicy {
  readonly knownHosts: KnownHosts
  /** Without it an unknown host is refused, unless it is taken unasked. */
  readonly confirmHost?: ConfirmHost | undefined
  /** Default `ask`. */
  readonly strict?: StrictHostKeyChecking | undefined
  /** The name the host is looked up and noted under, whatever its port (ssh's HostKeyAlias). */
  readonly alias?: string | undefined
  /** How long an RSA key has to be, in bits (ssh's RequiredRSASize). Less than 1024 is 1024, which is the default. */
  readonly requiredRsaSize?: number | undefined
}

/** What was found out about the server's key. */
export interface HostVerdict {
  /** It is new, and to be noted once the server has proved that the key is its own. */
  readonly remember: boolean
  /** The server may change its keys by itself: see {@link updateHostKeys}. */
  readonly mayRotate: boolean
}

/** Under what a host is looked up in known_hosts: its name and port, or its alias, which stands there without a port. */
export function knownAs({ alias }: HostPolicy, host: string, port: number): { host: string; port: number } {
  return alias === undefined ? { host, port } : { host: alias, port: 22 }
}

/**
 * Decides whether a server may be talked to: a known key yes, an unknown one if the user says so, every other one no.
 * @param blob the key it shows, or a certificate
 * @throws KeytoolError `host-key-unknown`, `host-key-changed`; `refused` for an RSA key that is too short, `unsupported` or
 * `damaged` for one that can't be read
 */
export async function verifyHost(policy: HostPolicy, host: string, port: number, blob: Buffer): Promise<HostVerdict> {
  const shown = PublicKey.fromBlob(blob)
  checkSize(policy, host, port, shown.plain)
  const name = knownAs(policy, host, port)
  const found = await policy.knownHosts.lookup(name.host, name.port, shown.blob)
  if (found.state === 'known') return { remember: false, mayRotate: found.mayRotate }
  if (found.state !== 'unknown') throw refuse(found, policy, host, port, shown.plain)
  const unknown: UnknownHost = {
    host,
    port,
    key: shown.plain,
    fingerprint: fingerprint(shown),
    otherNames: found.otherNames.map(each => showForeign(each)),
    ...(found.certificateTrouble !== undefined && { certificateTrouble: found.certificateTrouble }),
  }
  return admit(policy, unknown)
}

function checkSize(policy: HostPolicy, host: string, port: number, key: PublicKey): void {
  if (isLongEnough(key, policy.requiredRsaSize)) return
  throw new KeytoolError('refused', `the host key of ${showHost(host, port)} is too short`, {
    reason: `RSA with ${key.bits} bits; RequiredRSASize asks for more`,
    hint: 'ask whoever runs the server for another key',
  })
}

/** `SSH_RSA_MINIMUM_MODULUS_SIZE`: no setting goes below it. */
const LEAST_RSA = 1024

/** Whether a key is none of RSA's, or has at least so many bits. */
export function isLongEnough({ algorithm, bits }: PublicKey, required: number = LEAST_RSA): boolean {
  return algorithm.name !== 'ssh-rsa' || bits >= Math.max(required, LEAST_RSA)
}

async function admit({ strict = 'ask', confirmHost }: HostPolicy, unknown: UnknownHost): Promise<HostVerdict> {
  // As in OpenSSH, other keys of a host that nobody has looked at are not learnt along with the first one.
  if (strict === 'accept-new' || strict === 'no') return { remember: true, mayRotate: false }
  if (strict === 'yes' || !confirmHost) throw unknownHost(unknown)
  if (await confirmHost(unknown)) return { remember: true, mayRotate: true }
  const { host, port } = unknown
  throw new KeytoolError('host-key-unknown', `the host key of ${showHost(host, port)} was not accepted`)
}

/** Notes a key that was confirmed. The host is trusted now even if its key can't be written down; that is said. */
export async function rememberHost(policy: HostPolicy, host: string, port: number, blob: Buffer): Promise<void> {
  try {
    const name = knownAs(policy, host, port)
    await policy.knownHosts.remember(name.host, name.port, PublicKey.fromBlob(blob).plain.blob)
  } catch (cause) {
    const reason = isKeytoolError(cause) ? cause.message : String(cause)
    throw new KeytoolError('failed', `the host key of ${showHost(host, port)} can't be noted`, { reason, cause })
  }
}

function unknownHost({ host, port, key, fingerprint: shown, certificateTrouble }: UnknownHost): KeytoolError {
  const why = certificateTrouble === undefined ? '' : `; its certificate does not count: ${certificateTrouble}`
  return new KeytoolError('host-key-unknown', `the host key of ${showHost(host, port)} is not known`, {
    reason: `it shows ${key.algorithm.label} ${shown}${why}`,
    hint: `if that is right, the same line with --host-key ${shown}`,
  })
}

/** The key is known, and not to be trusted: taking its line away would be the wrong thing to do. */
export class RevokedHostKey extends KeytoolError {}

function refuse(
  found: Extract<Lookup, { state: 'changed' | 'revoked' }>,
  policy: HostPolicy,
  host: string,
  port: number,
  key: PublicKey,
): KeytoolError {
  const name = showHost(host, port)
  const place = `(${found.place.file} line ${found.place.line})`
  if (found.state === 'revoked') {
    return new RevokedHostKey('host-key-changed', `the host key of ${name} is revoked`, {
      reason: `revoked ${found.fingerprint}  ${place}`,
      hint: 'somebody else may have this key: ask whoever runs the server',
    })
  }
  const why =
    found.certificateTrouble === undefined ? '' : `; its certificate does not count: ${found.certificateTrouble}`
  return new KeytoolError('host-key-changed', `the host key of ${name} has changed`, {
    reason: `known ${found.fingerprint}  ${place}  now ${fingerprint(key)}${why}`,
    hint: `if the server was rebuilt: ${remedy(found, policy, host, port)}; if not, someone may be listening`,
  })
}

/** What takes the old key away: the command, where it can. */
function remedy(
  { isRemovable, place }: Extract<Lookup, { state: 'changed' }>,
  policy: HostPolicy,
  host: string,
  port: number,
): string {
  if (!isRemovable) return `correct line ${place.line} of ${place.file}`
  const name = knownAs(policy, host, port)
  const file = policy.knownHosts.hasOwnFiles ? ` -f ${quote(place.file)}` : ''
  return `keytool known-hosts remove ${quote(showForeign(nameOfHost(name.host, name.port)))}${file}`
}

/** The port in brackets unless it is 22, as known_hosts has it. */
function showHost(host: string, port: number): string {
  const shown = showForeign(host)
  return port === 22 ? shown : `[${shown}]:${port}`
}

/** As a shell takes it: brackets mean something to it. */
function quote(text: string): string {
  return /^[\w./~:@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
