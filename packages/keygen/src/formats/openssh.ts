import { randomBytes } from 'node:crypto'
import { algorithmNamed } from '../algorithms/table.js'
import { damagedAt, KeytoolError } from '../error.js'
import { PrivateKey, PublicKey } from '../key.js'
import { bcryptPbkdf } from '../protect/bcrypt.js'
import { checkBcrypt, defaultLimits, type Limits } from '../protect/caps.js'
import { type Cipher, cipherNamed, cipherOfFile, ciphers, decrypt, encrypt, isRead } from '../protect/ciphers.js'
import { Reader, Writer } from '../wire.js'
import { beginsArmor, readArmor, writeArmor } from './armor.js'
import { checkComment, decodeComment } from './comment.js'
import type { WritableFormat } from './format.js'

const LABEL = 'OPENSSH PRIVATE KEY'
const MAGIC = Buffer.from('openssh-key-v1\0', 'latin1')
/** OpenSSH's own choices. */
const DEFAULTS = { cipher: 'aes256-ctr', rounds: 24, salt: 16 }
/** The plain private section fills blocks of this many bytes even when nothing is encrypted. */
const PLAIN_BLOCK = 8
/** Whatever the cipher's blocks are: PuTTY fills up to 16 bytes, and adds all 16 where none is missing. */
const MAX_PADDING = 16
/** Of the salt, in bytes. OpenBSD's bcrypt_pbkdf refuses an empty one; nobody writes more than 16. */
const MAX_SALT = 1024

/** The KDF's options, PROTOCOL.key section 2. */
interface Bcrypt {
  readonly salt: Buffer
  readonly rounds: number
}

/** The outer layout, PROTOCOL.key section 1. */
interface Envelope {
  /** As the file has them: `none` where nothing is encrypted. */
  readonly cipherName: string
  readonly kdfName: string
  readonly kdfOptions: Reader
  readonly publicKey: PublicKey
  /** What follows the public key: its layout depends on the cipher. */
  readonly rest: Reader
}

/** OpenSSH's own format since 2014, PROTOCOL.key. */
export const openssh: WritableFormat = {
  name: 'openssh',
  option: 'openssh',
  title: 'OpenSSH',
  ciphers: [DEFAULTS.cipher, ...ciphers.map(({ name }) => name).filter(name => name !== DEFAULTS.cipher)],
  tuning: ['rounds'],
  holds: () => true,
  keepsComment: true,

  detect: bytes => beginsArmor(bytes, LABEL),

  inspect: bytes =>
    withEnvelope(bytes, async envelope => {
      const { cipherName, kdfName, publicKey } = envelope
      const format = openssh.name
      if (cipherName === 'none') {
        // The comment stands in the private section, which is open to anybody here.
        const key = await readPrivate(readSealed(envelope), publicKey, false, 'quick')
        key.wipe()
        return { format, encrypted: false, public: key.publicKey }
      }
      // A cipher or KDF that nothing here reads hides no public facts.
      if (isRead(cipherName)) readSealed(envelope, cipherOfFile(cipherName))
      const facts = { format, encrypted: true, cipher: cipherName, public: publicKey }
      return kdfName === 'bcrypt' ? { ...facts, kdf: { name: kdfName, rounds: readKdf(envelope).rounds } } : facts
    }),

  read: (bytes, { passphrase, limits = defaultLimits } = {}) =>
    withEnvelope(bytes, async envelope => {
      if (envelope.cipherName === 'none') return readPrivate(readSealed(envelope), envelope.publicKey, false)
      const plain = await unseal(envelope, passphrase, limits)
      try {
        return await readPrivate(plain, envelope.publicKey, true)
      } finally {
        plain.bytes.fill(0)
      }
    }),

  async write(key, { passphrase, cipher: cipherName = DEFAULTS.cipher, rounds = DEFAULTS.rounds } = {}) {
    if (passphrase?.length === 0) throw new KeytoolError('usage', 'an empty passphrase protects nothing')
    const cipher = passphrase ? cipherNamed(cipherName) : undefined
    const plain = writePrivate(key, cipher?.block ?? PLAIN_BLOCK)
    const envelope = new Writer().bytes(MAGIC)
    try {
      if (!passphrase || !cipher) {
        envelope.text('none').text('none').text('').uint32(1).string(key.publicKey.blob).string(plain)
        return writeArmor(envelope.done(), LABEL)
      }
      const kdf = { salt: randomBytes(DEFAULTS.salt), rounds: checkRounds(rounds) }
      const sealed = await seal(plain, passphrase, cipher, kdf)
      // The tag stands behind the string, not in it.
      const body = sealed.subarray(0, sealed.length - cipher.tag)
      envelope.text(cipher.name).text('bcrypt').string(new Writer().string(kdf.salt).uint32(kdf.rounds).done())
      envelope.uint32(1).string(key.publicKey.blob).string(body).bytes(sealed.subarray(body.length))
      return writeArmor(envelope.done(), LABEL)
    } finally {
      plain.fill(0)
    }
  },
}

/** Opens the file for one use and wipes the copy of it, which holds the secret when nothing is encrypted. */
async function withEnvelope<T>(bytes: Buffer, use: (envelope: Envelope) => Promise<T>): Promise<T> {
  const decoded = readArmor(bytes, LABEL)
  try {
    return await use(openEnvelope(decoded))
  } finally {
    decoded.fill(0)
  }
}

function openEnvelope(decoded: Buffer): Envelope {
  const rest = new Reader(decoded)
  if (!rest.bytes(MAGIC.length).equals(MAGIC)) throw damagedAt('the key does not start with "openssh-key-v1"', 0)
  const cipherName = rest.text(64)
  const kdfName = rest.text(64)
  const kdfOptions = rest.nested()
  if ((cipherName === 'none') !== (kdfName === 'none')) {
    throw new KeytoolError('damaged', 'the key names a cipher without a KDF, or a KDF without a cipher')
  }
  if (kdfName === 'none') kdfOptions.end()
  const count = rest.uint32()
  if (count !== 1) throw new KeytoolError('unsupported', `the file holds ${count} keys; OpenSSH itself reads one only`)
  // A copy: the decoded bytes are wiped, and a key's parts are views of its blob.
  const publicKey = PublicKey.fromBlob(Buffer.from(rest.string()))
  return { cipherName, kdfName, kdfOptions, publicKey, rest }
}

/** The private section as it stands in the file. */
interface Section {
  /** The tag included, where the cipher has one. */
  readonly bytes: Buffer
  /** Where it starts in the decoded bytes, for errors. */
  readonly offset: number
}

/** The string behind the public key, and the tag that stands behind the string. */
function readSealed({ rest }: Envelope, cipher?: Cipher): Section {
  const { block, tag } = cipher ?? { block: PLAIN_BLOCK, tag: 0 }
  const start = rest.offset
  const length = rest.uint32()
  if (length < block || length % block !== 0) {
    throw damagedAt(`the private part is not a whole number of ${block}-byte blocks`, start)
  }
  const { offset } = rest
  const bytes = rest.bytes(length + tag)
  rest.end()
  return { bytes, offset }
}

function readKdf({ kdfName, kdfOptions }: Envelope): Bcrypt {
  if (kdfName !== 'bcrypt') {
    throw new KeytoolError('unsupported', `the KDF ${JSON.stringify(kdfName)} is not supported`)
  }
  const { offset } = kdfOptions
  const values = { salt: kdfOptions.string(MAX_SALT), rounds: kdfOptions.uint32() }
  kdfOptions.end()
  if (values.salt.length === 0) throw damagedAt('the salt is empty', offset)
  return values
}

/** The rounds a caller wants. Throws `usage`. */
function checkRounds(rounds: number): number {
  if (Number.isInteger(rounds) && rounds >= 1 && rounds <= defaultLimits.bcryptRounds) return rounds
  throw new KeytoolError('usage', `bcrypt takes 1 to ${defaultLimits.bcryptRounds} rounds, not ${rounds}`)
}

async function seal(plain: Buffer, passphrase: Uint8Array, cipher: Cipher, { salt, rounds }: Bcrypt): Promise<Buffer> {
  const secret = await bcryptPbkdf(passphrase, salt, rounds, cipher.key + cipher.iv)
  try {
    return encrypt(cipher, secret, plain)
  } finally {
    secret.fill(0)
  }
}

async function unseal(envelope: Envelope, passphrase: Uint8Array | undefined, limits: Limits): Promise<Section> {
  const cipher = cipherOfFile(envelope.cipherName)
  const sealed = readSealed(envelope, cipher)
  const { salt, rounds } = readKdf(envelope)
  checkBcrypt(rounds, limits)
  if (!passphrase) throw new KeytoolError('secret-needed', 'the key is encrypted')
  const secret = await bcryptPbkdf(passphrase, salt, rounds, cipher.key + cipher.iv)
  try {
    return { ...sealed, bytes: decrypt(cipher, secret, sealed.bytes) }
  } finally {
    secret.fill(0)
  }
}

/** PROTOCOL.key section 3: two equal check numbers, the key, its comment, then padding 1, 2, 3 ... */
async function readPrivate(
  { bytes, offset }: Section,
  publicKey: PublicKey,
  encrypted: boolean,
  proof: 'whole' | 'quick' = 'whole',
): Promise<PrivateKey> {
  const reader = new Reader(bytes, offset)
  const [one, other] = [reader.uint32(), reader.uint32()]
  if (one !== other) {
    if (encrypted) throw new KeytoolError('secret-wrong', 'wrong passphrase', { reason: 'or the file was altered' })
    throw damagedAt('the two check numbers differ', offset)
  }
  const nameAt = reader.offset
  const name = reader.text(256)
  if (name !== publicKey.algorithm.name)
    throw damagedAt('the private key is of another type than the public one', nameAt)
  const algorithm = algorithmNamed(name)
  const views = algorithm.privateFields.read(reader)
  const comment = decodeComment(reader.string())
  const paddingAt = reader.offset
  const padding = reader.rest()
  if (padding.length > MAX_PADDING || padding.some((byte, i) => byte !== i + 1)) {
    throw damagedAt('the padding is wrong', paddingAt)
  }
  const key = await PrivateKey.fromViews(algorithm, views, comment, proof)
  if (!key.publicKey.equals(publicKey)) {
    key.wipe()
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
  const padding = Uint8Array.from({ length: (block - (body.length % block)) % block }, (_, i) => i + 1)
  const plain = Buffer.concat([body, padding])
  body.fill(0)
  return plain
}
