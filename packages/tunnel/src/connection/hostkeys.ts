import { fingerprint, isKeytoolError, KeytoolError, PublicKey, showForeign } from '@keytool/keygen'
import type { KnownHosts, Lookup } from '../known-hosts/store.js'

/** What the user is asked about a host nobody knows yet. */
export interface UnknownHost {
  readonly host: string
  readonly port: number
  readonly key: PublicKey
  /** `SHA256:…` */
  readonly fingerprint: string
  /** Other names this very key is known by; foreign text, escaped. */
  readonly otherNames: readonly string[]
}

/** True for yes. May throw a KeytoolError, such as `cancelled`. */
export type ConfirmHost = (host: UnknownHost) => Promise<boolean>

export interface HostPolicy {
  readonly knownHosts: KnownHosts
  /** Without it an unknown host is refused. */
  readonly confirmHost?: ConfirmHost | undefined
}

/**
 * Decides whether a server may be talked to: a known key yes, an unknown one if the user says so, every other one no.
 * @returns whether the key is new and is to be remembered
 * @throws KeytoolError `host-key-unknown`, `host-key-changed`, `unsupported` or `damaged` for a key that can't be read
 */
export async function verifyHost(
  policy: HostPolicy,
  host: string,
  port: number,
  blob: Buffer,
): Promise<{ remember: boolean }> {
  const key = PublicKey.fromBlob(blob)
  const found = await policy.knownHosts.lookup(host, port, key.blob)
  if (found.state === 'known') return { remember: false }
  if (found.state !== 'unknown') throw refuse(found, host, port, key)
  const unknown: UnknownHost = {
    host,
    port,
    key,
    fingerprint: fingerprint(key),
    otherNames: found.otherNames.map(name => showForeign(name)),
  }
  if (!policy.confirmHost) throw unknownHost(unknown)
  if (await policy.confirmHost(unknown)) return { remember: true }
  throw new KeytoolError('host-key-unknown', `the host key of ${showHost(host, port)} was not accepted`)
}

/** Notes a key that was confirmed. The host is trusted now even if its key can't be written down; that is said. */
export async function rememberHost(policy: HostPolicy, host: string, port: number, blob: Buffer): Promise<void> {
  try {
    await policy.knownHosts.remember(host, port, blob)
  } catch (cause) {
    const reason = isKeytoolError(cause) ? cause.message : String(cause)
    throw new KeytoolError('failed', `the host key of ${showHost(host, port)} can't be noted`, { reason, cause })
  }
}

function unknownHost({ host, port, key, fingerprint: shown }: UnknownHost): KeytoolError {
  const option = port === 22 ? '' : `-p ${port} `
  return new KeytoolError('host-key-unknown', `the host key of ${showHost(host, port)} is not known`, {
    reason: `it shows ${key.algorithm.label} ${shown}`,
    hint: `if that is right: ssh-keyscan ${option}${showForeign(host)} >> ~/.ssh/known_hosts`,
  })
}

function refuse(
  found: Extract<Lookup, { state: 'changed' | 'revoked' }>,
  host: string,
  port: number,
  key: PublicKey,
): KeytoolError {
  const name = showHost(host, port)
  const place = `(${found.place.file} line ${found.place.line})`
  if (found.state === 'revoked') {
    return new KeytoolError('host-key-changed', `the host key of ${name} is revoked`, {
      reason: `revoked ${fingerprint(key)}  ${place}`,
      hint: 'somebody else may have this key: ask whoever runs the server',
    })
  }
  return new KeytoolError('host-key-changed', `the host key of ${name} has changed`, {
    reason: `known ${found.fingerprint}  ${place}  now ${fingerprint(key)}`,
    hint: `if the server was rebuilt: ssh-keygen -R ${quote(name)}; if not, someone may be listening`,
  })
}

/** As ssh-keygen takes it: the port in brackets unless it is 22. */
function showHost(host: string, port: number): string {
  const shown = showForeign(host)
  return port === 22 ? shown : `[${shown}]:${port}`
}

/** Brackets mean something to a shell. */
function quote(name: string): string {
  return name.startsWith('[') ? `'${name}'` : name
}
