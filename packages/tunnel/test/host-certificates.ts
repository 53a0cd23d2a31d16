import {
  encodeSignature,
  type PrivateKey,
  PublicKey as Public,
  type PublicKey,
  publicAlgorithmNamed,
  Writer,
} from '@keytool/keygen'

/** What a certificate is to say. */
export interface Claims {
  readonly kind?: number
  readonly principals?: readonly string[]
  /** In seconds from 1970. */
  readonly after?: bigint
  readonly before?: bigint
  readonly critical?: Buffer
  /** A signature in place of the right one. */
  readonly signature?: Buffer
}

/** A host's certificate, as OpenSSH's PROTOCOL.certkeys lays it out. */
export async function certify(key: PublicKey, authority: PrivateKey, claims: Claims): Promise<PublicKey> {
  const algorithm = publicAlgorithmNamed(key.algorithm.name.replace(/(@openssh\.com)?$/, '-cert-v01@openssh.com'))
  const principals = new Writer()
  for (const name of claims.principals ?? []) principals.text(name)
  const kind = Buffer.alloc(4)
  kind.writeUInt32BE(claims.kind ?? 2)
  const parts = {
    ...key.parts,
    nonce: Buffer.alloc(32, 1),
    serial: Buffer.alloc(8),
    kind,
    keyId: Buffer.from('test'),
    principals: principals.done(),
    after: uint64(claims.after ?? 0n),
    before: uint64(claims.before ?? 0xffffffffffffffffn),
    critical: claims.critical ?? Buffer.alloc(0),
    extensions: Buffer.alloc(0),
    reserved: Buffer.alloc(0),
    authority: authority.publicKey.blob,
    signature: Buffer.alloc(0),
  }
  const unsigned = new Writer().text(algorithm.name)
  algorithm.publicFields.write(unsigned, parts)
  const bytes = unsigned.done()
  // The empty signature's length is not part of what is signed.
  const signed = bytes.subarray(0, bytes.length - 4)
  const signature = claims.signature ?? encodeSignature(await authority.sign(signed))
  return Public.fromBlob(new Writer().bytes(signed).string(signature).done())
}

function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}
