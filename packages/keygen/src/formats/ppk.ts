import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { KeytoolError } from '../error.js'
import { PrivateKey, PublicKey } from '../key.js'
import { type Argon2Kind, type Argon2Parameters, argon2 } from '../protect/argon2.js'
import { checkArgon2, defaultLimits, type Limits } from '../protect/caps.js'
import { cipherNamed, decrypt, encrypt } from '../protect/ciphers.js'
import { Reader, Writer } from '../wire.js'
import { checkComment } from './comment.js'
import type { KeyFormat, WriteOptions } from './format.js'
import { base64Lines, PpkLines } from './ppk-lines.js'

const MAGIC = 'PuTTY-User-Key-File-'
/** The one cipher of PPK files, which has the same name with OpenSSH. */
const CIPHER = cipherNamed('aes256-cbc')
/** Of the MAC and of its key, in bytes. */
const MAC_SIZE = 32
/** Salt of PuTTYgen's, and costs that take about a third of a second in PuTTYgen on a slow machine. */
const DEFAULTS = { kind: 'Argon2id', memory: 8192, passes: 21, parallelism: 1, salt: 16 } as const

/** A PPK version 3 file as it stands, nothing decrypted. */
interface Ppk {
  readonly type: string
  readonly encryption: string
  readonly comment: { bytes: Buffer; text: string }
  readonly publicBlob: Buffer
  readonly kdf: Argon2Parameters | undefined
  readonly privateBlob: Buffer
  readonly mac: Buffer
}

/** PuTTY's format since 0.75, version 3: PuTTY manual, appendix C. */
export const ppk3: KeyFormat = {
  name: 'ppk3',
  option: 'ppk',
  title: 'PuTTY version 3',

  detect: bytes => bytes.subarray(0, MAGIC.length).toString('latin1') === MAGIC,

  inspect(bytes) {
    const file = parse(bytes)
    const facts = { format: ppk3.name, public: publicHalf(file) }
    if (!file.kdf) return { ...facts, encrypted: false }
    const { kind, memory, passes, parallelism } = file.kdf
    return { ...facts, encrypted: true, cipher: file.encryption, kdf: { name: kind, memory, passes, parallelism } }
  },

  async read(bytes, { passphrase, limits = defaultLimits } = {}) {
    const file = parse(bytes)
    const publicKey = publicHalf(file)
    const { plain, macKey } = file.kdf
      ? await unseal(file, file.kdf, passphrase, limits)
      : { plain: file.privateBlob, macKey: Buffer.alloc(0) }
    try {
      const mac = macOf(macKey, file.type, file.encryption, file.comment.bytes, file.publicBlob, plain)
      // The MAC is the only sign of a wrong passphrase; on a file in the clear it can only mean damage.
      if (!timingSafeEqual(mac, file.mac)) {
        throw file.kdf
          ? new KeytoolError('secret-wrong', 'wrong passphrase', {
              reason: 'or the file was altered: its MAC does not fit',
            })
          : new KeytoolError('damaged', 'the file was altered: its MAC does not fit')
      }
      return readPrivate(publicKey, plain, file.kdf ? CIPHER.block : 1)
    } finally {
      if (file.kdf) plain.fill(0)
      macKey.fill(0)
    }
  },

  async write(key, options = {}) {
    const comment = checkComment(key.comment)
    const encryption = options.passphrase ? CIPHER.name : 'none'
    const writer = new Writer()
    key.algorithm.ppkFields.write(writer, key.parts)
    const body = writer.done()
    const plain = options.passphrase ? pad(body) : body
    const kdf = options.passphrase ? parametersFor(options) : undefined
    const secret = kdf && options.passphrase ? await derive(options.passphrase, kdf) : undefined
    const macKey = secret?.subarray(CIPHER.key + CIPHER.iv) ?? Buffer.alloc(0)
    const mac = macOf(macKey, key.algorithm.name, encryption, Buffer.from(comment), key.publicKey.blob, plain)
    const sealed = secret ? encrypt(CIPHER, secret, plain) : plain
    const lines = [
      `${MAGIC}3: ${key.algorithm.name}`,
      `Encryption: ${encryption}`,
      `Comment: ${comment}`,
      base64Lines('Public-Lines', key.publicKey.blob),
      ...(kdf ? kdfLines(kdf) : []),
      base64Lines('Private-Lines', sealed),
      `Private-MAC: ${mac.toString('hex')}`,
    ]
    for (const buffer of [body, plain, secret]) buffer?.fill(0)
    return Buffer.from(`${lines.join('\n')}\n`)
  },
}

function parse(bytes: Buffer): Ppk {
  const version = bytes.toString('latin1', MAGIC.length, MAGIC.length + 1)
  if (version === '1' || version === '2') {
    throw new KeytoolError('unsupported', `PPK files of version ${version} are not supported yet`, {
      hint: 'PuTTYgen 0.75 or newer saves it as version 3',
    })
  }
  const lines = new PpkLines(bytes)
  const type = lines.value(`${MAGIC}3`)
  const encryption = lines.value('Encryption')
  if (encryption !== 'none' && encryption !== CIPHER.name) {
    throw new KeytoolError('unsupported', `the cipher ${JSON.stringify(encryption.slice(0, 64))} is not one of PPK's`)
  }
  const comment = lines.comment()
  const publicBlob = lines.base64('Public-Lines')
  const kdf = encryption === 'none' ? undefined : readKdf(lines)
  const privateBlob = lines.base64('Private-Lines')
  const mac = lines.lastHex('Private-MAC', MAC_SIZE)
  lines.end()
  return { type, encryption, comment, publicBlob, kdf, privateBlob, mac }
}

function readKdf(lines: PpkLines): Argon2Parameters {
  const kind = lines.value('Key-Derivation')
  if (!isKind(kind)) {
    throw new KeytoolError('unsupported', `the KDF ${JSON.stringify(kind.slice(0, 64))} is not one of PPK's`)
  }
  return {
    kind,
    memory: lines.number('Argon2-Memory'),
    passes: lines.number('Argon2-Passes'),
    parallelism: lines.number('Argon2-Parallelism'),
    salt: lines.hex('Argon2-Salt'),
  }
}

function kdfLines({ kind, memory, passes, parallelism, salt }: Argon2Parameters): string[] {
  return [
    `Key-Derivation: ${kind}`,
    `Argon2-Memory: ${memory}`,
    `Argon2-Passes: ${passes}`,
    `Argon2-Parallelism: ${parallelism}`,
    `Argon2-Salt: ${Buffer.from(salt).toString('hex')}`,
  ]
}

function isKind(text: string): text is Argon2Kind {
  return text === 'Argon2id' || text === 'Argon2i' || text === 'Argon2d'
}

function publicHalf(file: Ppk): PublicKey {
  const key = PublicKey.fromBlob(file.publicBlob, file.comment.text)
  if (key.algorithm.name !== file.type) {
    throw new KeytoolError('damaged', 'the file names another type than its public key has')
  }
  return key
}

async function unseal(
  file: Ppk,
  kdf: Argon2Parameters,
  passphrase: Uint8Array | undefined,
  limits: Limits,
): Promise<{ plain: Buffer; macKey: Buffer }> {
  checkArgon2(kdf, limits)
  if (!passphrase) throw new KeytoolError('secret-needed', 'the key is encrypted')
  const secret = await derive(passphrase, kdf)
  try {
    const macKey = Buffer.from(secret.subarray(CIPHER.key + CIPHER.iv))
    return { plain: decrypt(CIPHER, secret, file.privateBlob), macKey }
  } finally {
    secret.fill(0)
  }
}

/** Key, IV and MAC key, one after the other (appendix C.4). */
function derive(passphrase: Uint8Array, kdf: Argon2Parameters): Promise<Buffer> {
  return argon2(passphrase, kdf, CIPHER.key + CIPHER.iv + MAC_SIZE)
}

/** HMAC-SHA-256 over everything that matters, the plain private section included (appendix C.5). */
function macOf(
  macKey: Buffer,
  type: string,
  encryption: string,
  comment: Buffer,
  publicBlob: Buffer,
  plain: Buffer,
): Buffer {
  const message = new Writer().text(type).text(encryption).string(comment).string(publicBlob).string(plain).done()
  try {
    return createHmac('sha256', macKey).update(message).digest()
  } finally {
    message.fill(0)
  }
}

function readPrivate(publicKey: PublicKey, plain: Buffer, block: number): PrivateKey {
  const { algorithm } = publicKey
  const reader = new Reader(plain)
  const secret = algorithm.ppkFields.read(reader)
  if (reader.left >= block) throw new KeytoolError('damaged', `the private part has ${reader.left} bytes too many`)
  // The parts are views of bytes that will be wiped: the key gets copies of its own.
  const parts = Object.fromEntries(
    Object.entries({ ...publicKey.parts, ...secret }).map(([name, part]) => [name, Buffer.from(part)]),
  )
  return PrivateKey.fromParts(algorithm, parts, publicKey.comment)
}

/** Filled up to whole blocks with the SHA-1 of what is there, as PuTTY does: the same key gives the same bytes. */
function pad(body: Buffer): Buffer {
  const missing = (CIPHER.block - (body.length % CIPHER.block)) % CIPHER.block
  return Buffer.concat([body, createHash('sha1').update(body).digest().subarray(0, missing)])
}

function parametersFor({ argon2: wanted = {} }: WriteOptions): Argon2Parameters {
  const { salt, ...costs } = { ...DEFAULTS, ...wanted }
  const parameters = { ...costs, salt: randomBytes(salt) }
  try {
    checkArgon2(parameters, defaultLimits)
  } catch (cause) {
    // The same check that protects from a file; here the numbers are the caller's own.
    throw new KeytoolError('usage', cause instanceof KeytoolError ? cause.message : String(cause), { cause })
  }
  return parameters
}
