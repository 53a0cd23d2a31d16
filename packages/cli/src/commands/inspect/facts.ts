import {
  type Certificate,
  type CertificateOption,
  FOREVER,
  fingerprint,
  type Inspected,
  type InspectedSsh1,
  type KdfFacts,
  type Krl,
  rateKdf,
  type Weakness,
} from '@keytool/keygen'
import { keyFacts } from '../../key-facts.js'

/** What was found, and what is to be said against it. */
export interface Found {
  readonly path: string
  readonly what: Inspected
  readonly warnings: readonly Weakness[]
}

/** One element of `inspect --json`. */
export function toFacts({ path, what, warnings }: Found): object {
  return {
    path,
    kind: what.kind,
    format: what.format,
    ...(what.line !== undefined && { line: what.line }),
    ...keyOf(what),
    ...particulars(what),
    ...(warnings.length > 0 && { warnings: warnings.map(({ hint: _hint, ...rest }) => rest) }),
  }
}

function keyOf(what: Inspected): object {
  if (what.public) return keyFacts(what.public)
  const { type, comment, bits, fingerprint } = what as {
    type?: string
    comment?: string
    bits?: number
    fingerprint?: object
  }
  return defined({ type, bits, comment, fingerprint })
}

/** Whether it is a key of SSH-1, which has a fingerprint but no blob. */
export function isSsh1(what: Inspected): what is InspectedSsh1 {
  return what.format === 'ssh1'
}

/** What only this kind of thing has. */
function particulars(what: Inspected): object {
  if (isSsh1(what)) return defined({ encrypted: what.encrypted, cipher: what.cipher })
  switch (what.kind) {
    case 'private':
      return { encrypted: what.encrypted, ...defined({ cipher: what.cipher, kdf: kdfOf(what) }) }
    case 'public':
      return { encrypted: false }
    case 'certificate':
      return { encrypted: false, certificate: certificateFacts(what.certificate) }
    case 'authorized_keys':
      return defined({ options: what.options || undefined, heeded: what.heeded, error: what.error?.message })
    case 'known_hosts':
      return defined({ hosts: what.hosts, marker: what.marker, error: what.error?.message })
    case 'signature':
      return { namespace: what.namespace, hash: what.hash, scheme: what.scheme }
    case 'krl':
      return { krl: krlFacts(what.krl) }
    case 'sshfp':
      return { host: what.host }
  }
}

function kdfOf({ kdf }: { kdf?: KdfFacts }): object | undefined {
  return kdf && { ...kdf, strength: rateKdf(kdf) }
}

export function certificateFacts(certificate: Certificate): object {
  const { serial, kind, keyId, principals, criticalOptions, extensions, authority } = certificate
  return {
    kind,
    keyId,
    serial: String(serial),
    principals,
    validAfter: timeOf(certificate.validAfter),
    validBefore: timeOf(certificate.validBefore),
    criticalOptions: optionFacts(criticalOptions),
    extensions: optionFacts(extensions),
    authority: { type: authority.algorithm.name, fingerprint: fingerprint(authority) },
  }
}

function optionFacts(options: readonly CertificateOption[]): object {
  return Object.fromEntries(options.map(({ name, value, data }) => [name, value ?? data.toString('hex')]))
}

/** ISO 8601; `null` for always and for ever. */
export function timeOf(seconds: bigint): string | null {
  if (seconds === 0n || seconds === FOREVER) return null
  const ms = Number(seconds) * 1000
  // JavaScript's dates end in the year 275760.
  return ms <= 8.64e15 ? new Date(ms).toISOString().replace('.000Z', 'Z') : null
}

function krlFacts({ version, generated, comment, certificates, keys, sha1, sha256 }: Krl): object {
  return {
    version: String(version),
    generated: timeOf(generated),
    comment,
    certificates: certificates.map(({ authority, serials, keyIds }) => ({
      ...(authority && { authority: fingerprint(authority) }),
      serials: String(serials),
      keyIds,
    })),
    keys,
    hashes: sha1 + sha256,
  }
}

/** The same object without its undefined members. */
function defined(value: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined))
}
