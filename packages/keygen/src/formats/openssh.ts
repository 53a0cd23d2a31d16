import { randomBytes } from 'node:crypto'
import { algorithmNamed } from '../algorithms/table.js'
import { KeytoolError } from '../error.js'
import { PrivateKey, PublicKey } from '../key.js'
import { bcryptPbkdf } from '../protect/bcrypt.js'
import { checkBcrypt, defaultLimits, type Limits } from '../protect/caps.js'
import { cipherNamed, decrypt, encrypt } from '../protect/ciphers.js'
import { Reader, Writer } from '../wire.js'
import { readArmor, writeArmor } from './armor.js'
import { checkComment, decodeComment } from './comment.js'
import type { KeyFormat } from './format.js'

const LABEL = 'OPENSSH PRIVATE KEY'
const MAGIC = Buffer.from('openssh-key-v1\0', 'latin1')
/** OpenSSH's own choices. */
const DEFAULTS = { cipher: 'aes256-ctr', rounds: 24, salt: 16 }
/** The plain private section fills blocks of this many bytes even when nothing is encrypted. */
const PLAIN_BLOCK = 8

/** The outer layout, PROTOCOL.key section 1. */
interface Envelope {
  readonly cipher: string
  readonly kdf: string
  readonly kdfOptions: Reader
  readonly publicKey: PublicKey
  /** The private section, still encrypted, and the tag behind it where the cipher has one. */
  readonly sealed: Buffer
  /** Where the private section starts in the decoded bytes, for errors. */
  readonly sealedAt: number
}

/** OpenSSH's own format since 2014, PROTOCOL.key. */
export const openssh: KeyFormat = {
  name: 'openssh',
  option: 'openssh',
  title: 'OpenSSH',

  detect: bytes => bytes.subarray(0, 4096).toString('latin1').trimStart().startsWith(`-----BEGIN ${LABEL}-----`),

  inspect(bytes) {
    const envelope = openEnvelope(bytes)
    const { cipher, kdf, kdfOptions, publicKey } = envelope
    if (cipher === 'none') {
      // The comment stands in the private section, which is open to anybody here.
      const key = readPrivate(envelope.sealed, envelope, false)
      key.wipe()
      return { format: openssh.name, encrypted: false, public: key.publicKey }
    }
    const facts = { format: openssh.name, encrypted: true, cipher, public: publicKey }
    return kdf === 'bcrypt' ? { ...facts, kdf: { name: kdf, rounds: readBcrypt(kdfOptions).rounds } } : facts
  },

  async read(bytes, { passphrase, limits = defaultLimits } = {}) {
    const envelope = openEnvelope(bytes)
    const encrypted = envelope.cipher !== 'none'
    const plain = encrypted ? await unseal(envelope, passphrase, limits) : envelope.sealed
    try {
      return readPrivate(plain, envelope, encrypted)
    } finally {
      if (encrypted) plain.fill(0)
    }
  },

  async write(key, { passphrase, cipher: cipherName = DEFAULTS.cipher, rounds = DEFAULTS.rounds } = {}) {
    const cipher = passphrase ? cipherNamed(cipherName) : undefined
    const plain = writePrivate(key, cipher?.block ?? PLAIN_BLOCK)
    const envelope = new Writer().bytes(MAGIC)
    let sealed = plain
    if (passphrase && cipher) {
      const salt = randomBytes(DEFAULTS.salt)
      const secret = await bcryptPbkdf(passphrase, salt, rounds, cipher.key + cipher.iv)
      sealed = encrypt(cipher, secret, plain)
      secret.fill(0)
      plain.fill(0)
      envelope.text(cipher.name).text('bcrypt').string(new Writer().string(salt).uint32(rounds).done())
    } else {
      envelope.text('none').text('none').text('')
    }
    const body = sealed.subarray(0, sealed.length - (cipher?.tag ?? 0))
    envelope.uint32(1).string(key.publicKey.blob).string(body).bytes(sealed.subarray(body.length))
    return writeArmor(envelope.done(), LABEL)
  },
}

function openEnvelope(bytes: Buffer): Envelope {
  const reader = new Reader(readArmor(bytes, LABEL))
  if (!reader.bytes(MAGIC.length).equals(MAGIC)) {
    throw new KeytoolError('damaged', 'the key does not start with "openssh-key-v1" (at byte 0)', { offset: 0 })
  }
  const cipher = reader.text(64)
  const kdf = reader.text(64)
  const kdfOptions = reader.nested()
  const count = reader.uint32()
  if (count !== 1) throw new KeytoolError('unsupported', `the file holds ${count} keys; OpenSSH itself reads one only`)
  const publicKey = PublicKey.fromBlob(reader.string())
  const sealedAt = reader.offset + 4
  const tag = cipher === 'none' ? 0 : cipherNamed(cipher).tag
  const sealed = Buffer.concat([reader.string(), reader.bytes(tag)])
  reader.end()
  if ((cipher === 'none') !== (kdf === 'none')) {
    throw new KeytoolError('damaged', 'the key names a cipher without a KDF, or a KDF without a cipher')
  }
  return { cipher, kdf, kdfOptions, publicKey, sealed, sealedAt }
}

function readBcrypt(options: Reader): { salt: Buffer; rounds: number } {
  const values = { salt: options.string(1024), rounds: options.uint32() }
  options.end()
  return values
}

async function unseal(envelope: Envelope, passphrase: Uint8Array | undefined, limits: Limits): Promise<Buffer> {
  const cipher = cipherNamed(envelope.cipher)
  if (envelope.kdf !== 'bcrypt') {
    throw new KeytoolError('unsupported', `the KDF ${JSON.stringify(envelope.kdf)} is not supported`)
  }
  const { salt, rounds } = readBcrypt(envelope.kdfOptions)
  checkBcrypt(rounds, limits)
  if (!passphrase) throw new KeytoolError('secret-needed', 'the key is encrypted')
  const secret = await bcryptPbkdf(passphrase, salt, rounds, cipher.key + cipher.iv)
  try {
    return decrypt(cipher, secret, envelope.sealed)
  } finally {
    secret.fill(0)
  }
}

/** PROTOCOL.key section 3: two equal check numbers, the key, its comment, then padding 1, 2, 3 ... */
function readPrivate(plain: Buffer, envelope: Envelope, encrypted: boolean): PrivateKey {
  const reader = new Reader(plain, envelope.sealedAt)
  const [one, other] = [reader.uint32(), reader.uint32()]
  if (one !== other) {
    if (encrypted) throw new KeytoolError('secret-wrong', 'wrong passphrase')
    throw new KeytoolError('damaged', `the two check numbers differ (at byte ${envelope.sealedAt})`, {
      offset: envelope.sealedAt,
    })
  }
  const algorithm = algorithmNamed(reader.text(256))
  // The parts are views of bytes that will be wiped, or that the caller owns: the key gets copies of its own.
  const parts = Object.fromEntries(
    Object.entries(algorithm.privateFields.read(reader)).map(([name, part]) => [name, Buffer.from(part)]),
  )
  const comment = decodeComment(reader.string())
  const offset = reader.offset
  const padding = reader.rest()
  if (padding.length >= 256 || padding.some((byte, i) => byte !== i + 1)) {
    throw new KeytoolError('damaged', `the padding is wrong (at byte ${offset})`, { offset })
  }
  const key = PrivateKey.fromParts(algorithm, parts, comment)
  if (!key.publicKey.equals(envelope.publicKey)) {
    throw new KeytoolError('damaged', 'the file shows another public key than the one its private key has')
  }
  return key
}

function writePrivate(key: PrivateKey, block: number): Buffer {
  const check = randomBytes(4)
  const writer = new Writer().bytes(check).bytes(check).text(key.algorithm.name)
  key.algorithm.privateFields.write(writer, key.parts)
  writer.text(checkComment(key.comment))
  const body = writer.done()
  const padding = Buffer.from(Array.from({ length: (block - (body.length % block)) % block }, (_, i) => i + 1))
  const plain = Buffer.concat([body, padding])
  body.fill(0)
  return plain
}
