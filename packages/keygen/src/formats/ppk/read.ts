import { timingSafeEqual } from 'node:crypto'
import { algorithmNamed } from '../../algorithms/table.js'
import { KeytoolError } from '../../error.js'
import { PrivateKey } from '../../key.js'
import { defaultLimits, type Limits } from '../../protect/caps.js'
import { decrypt } from '../../protect/ciphers.js'
import { Reader } from '../../wire.js'
import type { KeyFacts, ReadOptions } from '../format.js'
import { type PpkFile, parsePpk } from './file.js'
import { CIPHER, type Derivation, type PpkVersion } from './version.js'

/** {@link KeyFormat.inspect} of one version. Of a file with a certificate, the public half is the certificate. */
export async function inspectPpk(version: PpkVersion, bytes: Buffer): Promise<KeyFacts> {
  const { publicKey, encryption, derivation } = parsePpk(version, bytes)
  const facts = { format: `ppk${version.number}`, public: publicKey }
  if (!derivation) {
    // The public half is believed no sooner than the private one that lies open beside it.
    const key = await readPpk(version, bytes, { proof: 'quick' })
    key.wipe()
    return { ...facts, encrypted: false }
  }
  return { ...facts, encrypted: true, cipher: encryption, kdf: derivation.facts }
}

/** {@link KeyFormat.read} of one version. A certificate in it comes with the key. */
export async function readPpk(
  version: PpkVersion,
  bytes: Buffer,
  { passphrase, limits = defaultLimits, proof }: ReadOptions = {},
): Promise<PrivateKey> {
  const file = parsePpk(version, bytes)
  const { plain, macKey } = file.derivation
    ? await unseal(file.privateBlob, file.derivation, passphrase, limits)
    : { plain: file.privateBlob, macKey: version.plainMacKey() }
  try {
    const mac = version.mac(macKey, file, plain, file.mac.name)
    if (!timingSafeEqual(mac, file.mac.bytes)) throw misfit(file)
    return await readPrivate(version, file, plain, proof)
  } finally {
    plain.fill(0)
    macKey.fill(0)
  }
}

/** The MAC is the only sign of a wrong passphrase; on a file in the clear it can only mean damage. */
function misfit({ derivation }: PpkFile): KeytoolError {
  if (!derivation) return new KeytoolError('damaged', 'the file was altered: its MAC does not fit')
  return new KeytoolError('secret-wrong', 'wrong passphrase', {
    reason: 'or the file was altered: its MAC does not fit',
  })
}

async function unseal(
  sealed: Buffer,
  derivation: Derivation,
  passphrase: Uint8Array | undefined,
  limits: Limits,
): Promise<{ plain: Buffer; macKey: Buffer }> {
  derivation.check(limits)
  if (!passphrase) throw new KeytoolError('secret-needed', 'the key is encrypted')
  // PuTTY leaves a file in the clear when its passphrase is empty.
  if (passphrase.length === 0) throw new KeytoolError('secret-wrong', 'wrong passphrase')
  const secret = await derivation.derive(passphrase)
  try {
    const macKey = Buffer.from(secret.subarray(CIPHER.key + CIPHER.iv))
    return { plain: decrypt(CIPHER, secret, sealed), macKey }
  } finally {
    secret.fill(0)
  }
}

async function readPrivate(
  version: PpkVersion,
  file: PpkFile,
  plain: Buffer,
  proof: ReadOptions['proof'],
): Promise<PrivateKey> {
  const publicKey = file.publicKey.plain
  const algorithm = algorithmNamed(publicKey.algorithm.name)
  if (!algorithm.ppkFields) throw new KeytoolError('unsupported', `PPK files can't hold ${algorithm.type} keys`)
  const reader = new Reader(plain)
  const secret = algorithm.ppkFields.read(reader)
  version.readMore?.(reader, publicKey)
  if (reader.left >= (file.derivation ? CIPHER.block : 1)) {
    throw new KeytoolError('damaged', `the private part has ${reader.left} bytes too many`)
  }
  try {
    const views = { ...publicKey.parts, ...secret }
    const key = await PrivateKey.fromViews(algorithm, views, publicKey.comment, proof)
    return file.publicKey.algorithm.certifies ? key.withCertificate(file.publicKey) : key
  } finally {
    // Some rows make numbers of their own on reading.
    for (const part of Object.values(secret)) part.fill(0)
  }
}
