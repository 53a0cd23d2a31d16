import { createHash } from 'node:crypto'
import { KeytoolError } from '../../error.js'
import type { PrivateKey } from '../../key.js'
import { encrypt } from '../../protect/ciphers.js'
import { Writer } from '../../wire.js'
import { checkComment } from '../comment.js'
import type { WriteOptions } from '../format.js'
import { base64Lines } from './lines.js'
import { CIPHER, type Derivation, MAGIC, type PpkVersion } from './version.js'

/**
 * {@link KeyFormat.write} of one version, to the byte as puttygen writes it.
 * @param derivation of the keys; it is asked for only where there is a passphrase
 */
export async function writePpk(
  version: PpkVersion,
  key: PrivateKey,
  { passphrase, cipher = CIPHER.name }: WriteOptions,
  derivation: () => Derivation,
): Promise<Buffer> {
  const { type: kind, ppkFields } = key.algorithm
  const shown = key.certificate ?? key.publicKey
  const type = shown.algorithm.name
  if (!ppkFields) throw new KeytoolError('unsupported', `PPK files can't hold ${kind} keys`)
  if (cipher !== CIPHER.name) {
    throw new KeytoolError('unsupported', `PPK files have no cipher but ${CIPHER.name}`)
  }
  if (passphrase?.length === 0) throw new KeytoolError('usage', 'an empty passphrase protects nothing')
  const comment = checkComment(key.comment)
  const kdf = passphrase ? derivation() : undefined
  const header = {
    type,
    encryption: kdf ? CIPHER.name : 'none',
    comment: Buffer.from(comment),
    publicBlob: shown.blob,
  }
  const secret = passphrase && kdf ? await kdf.derive(passphrase) : undefined
  const macKey = secret?.subarray(CIPHER.key + CIPHER.iv) ?? version.plainMacKey()
  const writer = new Writer()
  ppkFields.write(writer, key.parts)
  const body = writer.done()
  const plain = secret ? pad(body) : body
  try {
    const [macName = ''] = version.macNames
    const mac = version.mac(macKey, header, plain, macName)
    const lines = [
      `${MAGIC}${version.number}: ${type}`,
      `Encryption: ${header.encryption}`,
      `Comment: ${comment}`,
      base64Lines('Public-Lines', header.publicBlob),
      ...(kdf?.lines ?? []),
      base64Lines('Private-Lines', secret ? encrypt(CIPHER, secret, plain) : plain),
      `${macName}: ${mac.toString('hex')}`,
    ]
    return Buffer.from(`${lines.join('\n')}\n`)
  } finally {
    for (const buffer of [body, plain, macKey, secret]) buffer?.fill(0)
  }
}

/** Filled up to whole blocks with the SHA-1 of what is there, as PuTTY does: the same key gives the same bytes. */
function pad(body: Buffer): Buffer {
  const missing = (CIPHER.block - (body.length % CIPHER.block)) % CIPHER.block
  return Buffer.concat([body, createHash('sha1').update(body).digest().subarray(0, missing)])
}
