import {
  type Certificate,
  fingerprintLine,
  type Inspected,
  type InspectedAuthorizedKey,
  type InspectedPrivate,
  type InspectedSsh1,
  type Krl,
  keyFormats,
  publicFormats,
  rateKdf,
  showForeign,
  type Weakness,
} from '@keytool/keygen'
import type { Context } from '../../context.js'
import { describeProtection, describeRated } from '../../protection.js'
import { columns, count } from '../../text.js'
import { type Found, isSsh1, timeOf } from './facts.js'

/** All about one thing, below its file's name. */
export function show({ what, warnings }: Found, { say }: Context): void {
  for (const line of describe(what)) say.line(`  ${line}`)
  for (const warning of warnings) say.line(`  ${say.paint(colours[warning.severity], tell(warning))}`)
}

const colours = { broken: 'red', weak: 'yellow', note: 'dim' } as const

function tell({ severity, text, hint, reference }: Weakness): string {
  const more = [hint, reference].filter(Boolean).join('; ')
  return `${severity}: ${text}${more && ` (${more})`}`
}

/** The files of a folder as a table: a line a key. */
export function table(found: readonly Found[], { say }: Context): void {
  const rows = found.map(({ path, what, warnings }) => [
    what.line === undefined ? say.path(nameOf(path)) : `${say.path(nameOf(path))}:${what.line}`,
    what.kind.replace('_', ' '),
    what.public ? `${what.public.bits} ${what.public.algorithm.label}` : (typeOf(what) ?? '?'),
    what.kind === 'private' && !isSsh1(what) ? `${titleOf(what)}, ${describeRated(what)}` : titleOf(what),
    warnings.some(({ severity }) => severity === 'broken') ? 'BROKEN' : warnings.length > 0 ? 'see below' : '',
    showForeign(commentOf(what), 40),
  ])
  for (const row of columns([['file', 'kind', 'key', 'format', '', 'comment'], ...rows])) say.line(`  ${row}`)
  const told = found.flatMap(({ path, warnings }) => warnings.map(warning => ({ path, warning })))
  for (const { path, warning } of told) {
    say.line(`  ${say.path(nameOf(path))}  ${say.paint(colours[warning.severity], tell(warning))}`)
  }
}

function nameOf(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1)
}

function describe(what: Inspected): string[] {
  if (isSsh1(what)) return describeSsh1(what)
  const key = what.public ? showForeign(fingerprintLine(what.public)) : undefined
  switch (what.kind) {
    case 'private':
      return [`private key, ${titleOf(what)}, ${protection(what)}`, ...lines(key ?? hidden(what))]
    case 'public':
      return [`${where(what)}public key, ${titleOf(what)}`, ...lines(key)]
    case 'certificate':
      return [
        `${where(what)}${what.certificate.kind} certificate`,
        ...lines(key),
        ...describeCertificate(what.certificate),
      ]
    case 'authorized_keys':
      return [`${where(what)}${describeOptions(what)}`, ...lines(key ?? what.error?.message)]
    case 'known_hosts':
      return [
        `${where(what)}host key of ${showForeign(what.hosts)}${what.marker ? `, ${what.marker}` : ''}`,
        ...lines(key ?? what.error?.message),
      ]
    case 'signature':
      return [
        `signature for ${JSON.stringify(showForeign(what.namespace))}, ${what.scheme} over ${what.hash}; not verified here`,
        ...lines(key && `by ${key}`),
      ]
    case 'krl':
      return describeKrl(what.krl)
    case 'sshfp':
      return [`SSHFP record of ${showForeign(what.host)}: a key's fingerprint, not a key`]
  }
}

function protection(what: InspectedPrivate): string {
  if (!what.encrypted) return 'not encrypted: whoever has the file has the key'
  return `${describeProtection(what)}${what.kdf ? ` (${rateKdf(what.kdf)})` : ''}`
}

function hidden(what: InspectedPrivate): string {
  return [
    what.type,
    showForeign(what.comment ?? ''),
    'its public half is encrypted, too: fingerprint and public ask for the passphrase',
  ]
    .filter(Boolean)
    .join(', ')
}

function describeSsh1({ kind, bits, comment, encrypted, fingerprint }: InspectedSsh1): string[] {
  const protection = kind === 'private' ? `, ${encrypted ? 'encrypted' : 'not encrypted'}` : ''
  return [
    `${kind} key of SSH-1${protection}: SSH-1 is broken, and no server of today speaks it`,
    `${bits} ${fingerprint.md5} ${showForeign(comment) || 'no comment'} (RSA1)`,
  ]
}

function describeCertificate(certificate: Certificate): string[] {
  const { keyId, serial, principals, criticalOptions, extensions, authority } = certificate
  const names = (list: readonly { name: string; value?: string }[]) =>
    list.map(({ name, value }) => showForeign(value === undefined ? name : `${name}=${value}`)).join(', ')
  return columns([
    ['id', `${showForeign(keyId)}, serial ${serial}`],
    ['for', principals.map(each => showForeign(each)).join(', ') || 'nobody'],
    ['valid', validity(certificate)],
    ['by', showForeign(fingerprintLine(authority))],
    ...(criticalOptions.length > 0 ? [['must', names(criticalOptions)]] : []),
    ...(extensions.length > 0 ? [['may', names(extensions)]] : []),
  ])
}

function validity({ validAfter, validBefore }: Certificate): string {
  const [from, to] = [timeOf(validAfter), timeOf(validBefore)]
  if (from === null && to === null) return 'always'
  return [from && `from ${from}`, to && `to ${to}`].filter(Boolean).join(' ')
}

function describeKrl({ version, generated, comment, certificates, keys, sha1, sha256 }: Krl): string[] {
  const named = comment ? `, ${JSON.stringify(showForeign(comment))}` : ''
  return [
    `key revocation list, version ${version}, of ${timeOf(generated) ?? 'an unknown day'}${named}`,
    `${count(keys, 'key')}, ${count(sha1 + sha256, 'fingerprint')}, certificates of ${count(certificates.length, 'authority', 'authorities')}`,
  ]
}

/** The format's name for people; `--json` has the one for programs. */
function titleOf({ format }: Inspected): string {
  return [...keyFormats, ...publicFormats].find(({ name }) => name === format)?.title ?? format
}

function where({ line }: Inspected): string {
  return line === undefined ? '' : `line ${line}: `
}

function typeOf(what: Inspected): string | undefined {
  return what.public?.algorithm.name ?? ('type' in what ? what.type : undefined)
}

function commentOf(what: Inspected): string {
  return what.public?.comment ?? ('comment' in what ? (what.comment ?? '') : '')
}

function lines(text: string | undefined): string[] {
  return text === undefined || text === '' ? [] : [text]
}

function describeOptions({ heeded, options }: InspectedAuthorizedKey): string {
  if (!heeded) return 'sshd passes this line over'
  return options ? showForeign(options) : 'may log in, with no restriction'
}
