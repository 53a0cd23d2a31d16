import { encodeSignature, FOREVER, type PrivateKey, PublicKey, type SignatureHash, Writer } from '@keytool/keygen'
import type { SessionBind } from '../src/agent.js'

export interface BindOptions {
  readonly forwarding?: boolean
  /** What is shown instead of the plain host key. */
  readonly certificate?: PublicKey
  readonly hash?: SignatureHash
}

/** A bind as ssh sends it: the host has signed the session's id. */
export async function makeBind(host: PrivateKey, sessionId: Buffer, options: BindOptions = {}): Promise<SessionBind> {
  const { forwarding = false, certificate, hash } = options
  const signature = encodeSignature(await host.sign(sessionId, hash && { hash }))
  return { hostKey: (certificate ?? host.publicKey).blob, sessionId, signature, forwarding }
}

export interface Claims {
  /** 2 is a host's. */
  readonly kind?: number
  readonly principals?: readonly string[]
  /** In seconds from 1970. */
  readonly after?: bigint
  readonly before?: bigint
  readonly critical?: Buffer
  readonly hash?: SignatureHash
}

/** A host certificate, PROTOCOL.certkeys. */
export async function certify(subject: PrivateKey, authority: PrivateKey, claims: Claims = {}): Promise<PublicKey> {
  const { algorithm, parts } = subject.publicKey
  const packed = new Writer()
  for (const name of claims.principals ?? []) packed.text(name)
  const writer = new Writer().text(`${algorithm.name}-cert-v01@openssh.com`).string(Buffer.alloc(32))
  algorithm.publicFields.write(writer, parts)
  writer
    .uint64(1n)
    .uint32(claims.kind ?? 2)
    .text('id')
    .string(packed.done())
  writer.uint64(claims.after ?? 0n).uint64(claims.before ?? FOREVER)
  writer
    .string(claims.critical ?? Buffer.alloc(0))
    .text('')
    .text('')
    .string(authority.publicKey.blob)
  const body = writer.done()
  const signature = await authority.sign(body, claims.hash && { hash: claims.hash })
  return PublicKey.fromBlob(new Writer().bytes(body).string(encodeSignature(signature)).done())
}
