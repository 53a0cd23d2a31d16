import { KeytoolError, type SignatureHash, Writer } from '@keytool/keygen'
import { type Protocol, sendPayload } from './insides.js'
import type { OfferedKey } from './offered-keys.js'

/** SSH_MSG_USERAUTH_REQUEST */
const REQUEST = 50

/** RSA's, best first for servers: all that take SHA-2 take this one, and most programs ask for it. SHA-1 is never used. */
const RSA_HASHES = ['sha256', 'sha512'] as const

/** How a key logs in: RFC 4252 section 7, RFC 8332 section 3, OpenSSH's PROTOCOL.certkeys. */
export interface Credential extends OfferedKey {
  /** The public key algorithm's name. */
  readonly algorithm: string
  /** The key's blob, or the certificate's. */
  readonly blob: Buffer
  /** Which of RSA's hashes it signs with; the other types have no choice. */
  readonly hash?: SignatureHash
}

/** OpenSSH 7.4 takes SHA-2 and does not say so. */
export function acceptedBy(
  software: string | undefined,
  names: readonly string[] | undefined,
): readonly string[] | undefined {
  return /^OpenSSH_7\.4/.test(software ?? '') ? ['rsa-sha2-256', 'rsa-sha2-512', ...(names ?? [])] : names
}

/**
 * @param accepted the server's `server-sig-algs`; absent when it has not said, as servers from before SHA-2 do not
 * @throws KeytoolError `unsupported` for an RSA key where the server takes SHA-1 only
 */
export function describeCredential(key: OfferedKey, accepted: readonly string[] | undefined): Credential {
  const { algorithm: plain, blob } = key.signer.publicKey
  const { certificate } = key
  const shown = { ...key, blob: certificate?.blob ?? blob }
  if (plain.schemes.length === 1) return { ...shown, algorithm: (certificate?.algorithm ?? plain).name }
  for (const hash of RSA_HASHES) {
    const name = plain.schemes.find(scheme => scheme.hash === hash)?.name
    if (name === undefined || !accepted?.includes(name)) continue
    return { ...shown, algorithm: certificate ? `${name}-cert-v01@openssh.com` : name, hash }
  }
  throw sha1Only()
}

export function sha1Only(): KeytoolError {
  return new KeytoolError('unsupported', 'the server takes RSA signatures with SHA-1 only', {
    hint: 'use an Ed25519 key with this server',
  })
}

/**
 * The engine asks and signs under one name for key, algorithm and signature, and only with key types that it knows. This
 * takes its place, with whatever is offered at the moment.
 */
export function replacePublicKeyAuth(protocol: Protocol, current: () => Credential): void {
  protocol.authPK = (user, _key, _algorithm, sign) => {
    const { algorithm, blob } = current()
    const request = (isSigned: boolean) =>
      new Writer()
        .byte(REQUEST)
        .text(user)
        .text('ssh-connection')
        .text('publickey')
        .boolean(isSigned)
        .text(algorithm)
        .string(blob)
        .done()
    const send = (payload: Buffer) => {
      protocol._authsQueue.push('publickey')
      sendPayload(protocol, payload)
    }
    if (!sign) return send(request(false))
    const signed = request(true)
    const sessionId = protocol._kex?.sessionID
    if (!sessionId) throw new KeytoolError('damaged', 'the server asks for a signature too early')
    sign(new Writer().string(sessionId).bytes(signed).done(), signature =>
      send(new Writer().bytes(signed).string(signature).done()),
    )
  }
}
