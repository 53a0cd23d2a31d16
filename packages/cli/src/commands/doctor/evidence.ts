import { fingerprint, type KeytoolError, PublicKey, readCertificate, showForeign } from '@keytool/keygen'
import { type CertificateTrouble, farewellOf, greetingIn, judgeCertificate, type KeyTry } from '@keytool/tunnel'
import type { Context } from '../../context.js'
import type { Destination } from '../../reach.js'
import type { Attempt } from './attempt.js'

/** How much of what answers is shown, in characters. */
const MAX_SHOWN = 80

/** What an attempt showed, beside its error: a sentence each. */
export function gatherEvidence(
  { seen, unknownHost, agentTrouble }: Attempt,
  { user }: Destination,
  { say }: Context,
): string[] {
  const { error, keys, heard, agent } = seen
  const greeting = greetingIn(seen)
  const words: (string | undefined)[] = [
    unknownHost === undefined ? error && tell(error) : `it shows ${unknownHost}`,
    greeting === undefined && heard !== '' ? `it says "${showForeign(heard.trimEnd(), MAX_SHOWN)}"` : undefined,
    error && describeFarewell(error),
    ...(keys ?? []).flatMap(use => describeTry(use, user)),
    agentTrouble === undefined ? undefined : say.path(agentTrouble),
    agent === 'locked' ? 'the agent is locked' : undefined,
    agent === 'empty'
      ? "the agent answers, and shows no key (another program's shows none while it is locked)"
      : undefined,
    agent === 'forbidden' ? 'IdentityAgent none: no agent is asked' : undefined,
  ]
  return words.filter(word => word !== undefined)
}

/** What is wrong with a certificate that was offered. */
export function findCertificateTrouble(keys: readonly KeyTry[], user: string): CertificateTrouble | undefined {
  for (const { certificate } of keys) {
    const found = certificate && judgeCertificate(certificate, user, Date.now())
    if (found) return found
  }
  return undefined
}

function describeTry({ certificate, taken, error }: KeyTry, user: string): string[] {
  const trouble = certificate && judgeCertificate(certificate, user, Date.now())
  const authority = certificate && !trouble && !taken ? readCertificate(certificate)?.authority : undefined
  return [
    ...(trouble ? [`of the certificate: ${trouble.text}`] : []),
    ...(authority ? [`the certificate is signed by ${fingerprint(authority)}, which the server may not know`] : []),
    ...(error ? [tell(error)] : []),
  ]
}

function describeFarewell(error: KeytoolError): string | undefined {
  const farewell = farewellOf(error)
  return farewell === undefined ? undefined : `it says "${showForeign(farewell, MAX_SHOWN)}"`
}

function tell({ message, reason }: KeytoolError): string {
  return reason === undefined ? message : `${message}: ${reason}`
}

/** `ED25519 SHA256:…` */
export function nameHostKey(blob: Buffer): string {
  const key = PublicKey.fromBlob(blob)
  return `${key.algorithm.label} ${fingerprint(key)}`
}
